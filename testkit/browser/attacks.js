// What a page of another origin can try: to read, to submit by script, to submit as a form does,
// and to embed. Answers what came of each.
async (gateway) => {
  const jobs = gateway + '/v1/interpolations';
  const outcome = async (request) => {
    try {
      return (await request).type;
    } catch (error) {
      return 'refused';
    }
  };
  const form = new FormData();
  form.append('keyframe', new Blob(['x']));
  form.append('keyframe', new Blob(['y']));
  const image = (address) => new Promise((done) => {
    const element = new Image();
    element.onload = () => done('shown');
    element.onerror = () => done('refused');
    element.src = address;
  });
  return [
    await outcome(fetch(jobs)),
    await outcome(fetch(jobs, {method: 'POST', body: form})),
    await outcome(fetch(jobs, {method: 'POST', body: form, mode: 'no-cors'})),
    await outcome(fetch(jobs, {method: 'DELETE'})),
    await image(jobs),
  ];
}
