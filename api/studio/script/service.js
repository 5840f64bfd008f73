// Calls the public API. Every address is relative to the page, which may lie below any path.

const KEY = 'tooncrafter.key';

/** A refusal of the service, or no answer at all (`status` 0). */
export class Problem extends Error {
  constructor(status, body = {}) {
    super(body.detail || body.title || 'The service does not answer.');
    this.status = status;
    this.code = body.code ?? 'unreachable';
    this.title = body.title ?? 'No answer';
    this.errors = body.errors ?? [];
    this.requestId = body.request_id;
  }
}

export function address(path) {
  return new URL(path.replace(/^\//, ''), document.baseURI);
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

function headersFor(extra) {
  const token = key.get();
  return token ? {...extra, Authorization: `Bearer ${token}`} : {...extra};
}

/** Fetch, and raise a `Problem` unless the answer is good. */
export async function call(path, {headers, ...options} = {}) {
  let answer;
  try {
    answer = await fetch(address(path), {...options, headers: headersFor(headers)});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0);
  }
  if (answer.ok || answer.status === 304) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

export const read = async (path, options) => (await call(path, options)).json();

const JOBS = 'v1/interpolations';

export const contract = () => read('openapi.json');
export const listModels = async () => (await read('v1/models')).data;
export const readQueue = () => read('v1/queue');
export const readJob = (id) => read(`${JOBS}/${id}`);
export const cancel = (id) => read(`${JOBS}/${id}/cancel`, {method: 'POST'});
export const submit = (form, token) =>
  read(JOBS, {method: 'POST', body: form, headers: {'Idempotency-Key': token}});
export const estimate = (form, signal) =>
  read(`${JOBS}/estimate`, {method: 'POST', body: form, signal});

/** Return one drawing of a result as a PNG blob. */
export async function drawing(id, index, variant = 1) {
  const which = variant > 1 ? `?variant=${variant}` : '';
  return (await call(`${JOBS}/${id}/drawings/${index}${which}`)).blob();
}
