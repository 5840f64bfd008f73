// Follows a job's event stream. `EventSource` cannot send a key, so the stream is read with fetch.

import {call, Problem} from './service.js';

const FIRST_PAUSE = 1000; // milliseconds before the first new attempt
const LONGEST_PAUSE = 8000;
const ENDED = ['succeeded', 'failed', 'canceled'];

/** Split a stream into events `{event, data, id}`; comments are dropped. */
async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value.replaceAll('\r\n', '\n');
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const found = {event: 'message', data: '', id: null};
      for (const line of block.split('\n')) {
        const [name, ...rest] = line.split(':');
        if (name in found) found[name] = rest.join(':').trimStart();
      }
      if (found.data) yield {...found, data: JSON.parse(found.data)};
    }
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * Tell `on(event, data)` of every event until the job has ended or `signal` is aborted.
 *
 * A broken stream is opened again and continues after the last event; `on('lost')` and
 * `on('live')` say when that begins and ends. A refusal ends it with `on('refused', problem)`.
 */
export async function follow(id, signal, on) {
  let last = null;
  let wait = FIRST_PAUSE;
  let hasEnded = false;
  while (!hasEnded && !signal.aborted) {
    try {
      const headers = last ? {'Last-Event-ID': last} : {};
      const answer = await call(`v1/interpolations/${id}/events`, {headers, signal});
      if (answer.status === 204) return;
      on('live');
      wait = FIRST_PAUSE;
      for await (const {event, data, id: version} of parse(answer.body)) {
        last = version ?? last;
        hasEnded = event === 'status' && ENDED.includes(data.status);
        on(event, data);
        if (hasEnded) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error instanceof Problem && [401, 403, 404].includes(error.status);
      if (isFinal) return on('refused', error);
      on('lost');
    }
    await pause(wait);
    wait = Math.min(2 * wait, LONGEST_PAUSE);
  }
}
