// Follows a job's stream of events until the browser gives up reconnecting.
(address) => new Promise((done) => {
  const source = new EventSource(address);
  let last = null;
  let finals = 0;
  source.addEventListener('status', (event) => {
    last = JSON.parse(event.data).status;
    finals += last === 'succeeded';
  });
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) done({last, finals, state: 'closed'});
  });
})
