// What a person can do: each action changes the state and calls the service.

import {isPreviewOnly} from './engines.js';
import {follow} from './events.js';
import {keyOf, newId, thumbnailOf} from './images.js';
import {readLimits} from './limits.js';
import * as service from './service.js';
import * as shelf from './shelf.js';
import {addKeys, formOf, insertDrawing, setOption} from './shot.js';
import {state, update} from './store.js';

const POLL = 5000; // milliseconds between looks at queue and models
const WORKER_PATIENCE = 15000; // milliseconds that a submission waits for the first worker
const SETTLE = 700; // milliseconds after the last change until an estimate is asked for
const MOST_ESTIMATED = 8e6; // bytes of drawings up to which each change may be sent again

let following = null;
let estimating = null;
let settling = null;

export async function begin() {
  const draft = await shelf.loadDraft();
  if (draft?.keys.length) update({shot: draft});
  await connect();
  await refreshHistory();
  window.addEventListener('hashchange', openHash);
  await openHash();
  setInterval(() => !document.hidden && lookAround(), POLL);
}

async function connect() {
  try {
    await learnLimits();
  } catch (problem) {
    update({isOffline: true, problem});
  }
  await lookAround();
}

/** Read what the service takes; a shot that was there before is estimated now. */
async function learnLimits() {
  update({limits: readLimits(await service.contract())});
  estimateSoon();
}

/** Read queue and models; ask for a key where one is needed. */
async function lookAround() {
  if (!state.limits && !state.isOffline) return;
  try {
    if (!state.limits) await learnLimits();
    if (state.askKey) return;
    const [queue, models] = await Promise.all([service.readQueue(), service.listModels()]);
    update({queue, models, isOffline: false});
  } catch (problem) {
    if (problem.status === 401) update({askKey: service.key.get() ? problem.message : ''});
    else update({isOffline: problem.status === 0 || problem.status === 503});
  }
}

export async function useKey(token) {
  service.key.set(token);
  try {
    update({queue: await service.readQueue(), askKey: null});
    await lookAround();
    await openHash();
  } catch (problem) {
    service.key.forget();
    update({askKey: problem.message});
  }
}

export function forgetKey() {
  service.key.forget();
  update({queue: null, models: []});
  lookAround();
}

export function say(notice) {
  update({notice});
}

export function changeShot(change, selected = state.selected) {
  const shot = change(state.shot);
  update({shot, selected, problem: null});
  shelf.saveDraft(shot);
  estimateSoon();
}

export async function dropFiles(files, at) {
  const {maxKeys} = state.limits ?? {maxKeys: 16};
  const room = maxKeys - state.shot.keys.length;
  const taken = files.slice(0, Math.max(0, room));
  const keys = await Promise.all(taken.map(keyOf));
  leaveJob();
  changeShot((shot) => addKeys(shot, keys, at));
  if (taken.length < files.length) {
    say(`A shot has at most ${maxKeys} keys, so ${files.length - taken.length} were left out.`);
  } else if (keys.length) {
    say(`${keys.map(({name}) => name).join(', ')} added.`);
  }
}

export async function replaceKey(index, file) {
  const {name, url, width, height} = await keyOf(file);
  leaveJob();
  changeShot((shot) => ({
    ...shot,
    keys: shot.keys.map((key, number) =>
      number === index ? {...key, file, name, url, width, height, error: ''} : key),
  }));
}

export async function addSketch(index, at, file) {
  const sketch = {id: newId(), at, name: file.name, file, url: URL.createObjectURL(file)};
  changeShot((shot) => ({
    ...shot,
    keys: shot.keys.map((key, number) => number === index
      ? {...key, sketches: [...key.sketches.filter((one) => one.at !== at), sketch]}
      : key),
  }));
  say(`Sketch at drawing ${at} after key ${index + 1}.`);
}

export function startOver() {
  leaveJob();
  changeShot(() => ({keys: [], options: {}}), null);
}

function estimateSoon() {
  clearTimeout(settling);
  estimating?.abort();
  const {shot, limits} = state;
  const bytes = shot.keys.reduce((sum, {file}) => sum + file.size, 0);
  if (!limits || shot.keys.length < limits.minKeys || bytes > MOST_ESTIMATED) {
    update({estimate: null});
    return;
  }
  settling = setTimeout(async () => {
    estimating = new AbortController();
    try {
      const plan = await service.estimate(formOf(shot, limits), estimating.signal);
      update({estimate: plan, problem: null});
    } catch (problem) {
      if (problem.status === 422) refuse(problem);
    }
  }, SETTLE);
}

/** Show a refusal, and mark the keys that it names. */
function refuse(problem) {
  const keys = state.shot.keys.map((key, index) => {
    const own = problem.errors?.find(({pointer}) =>
      `${pointer}/`.startsWith(`/keyframes/${index}/`));
    return {...key, error: own?.detail ?? ''};
  });
  update({problem, estimate: null, isSending: false, shot: {...state.shot, keys}});
}

export async function draw(quality = null) {
  update({isSending: true, problem: null});
  await workerComes();
  const usual = isPreviewOnly(state.models) ? 'preview' : null;
  const shot = setOption(state.shot, 'quality', quality ?? usual);
  try {
    const job = await service.submit(formOf(shot, state.limits), newId());
    await shelf.saveJob(job, shot);
    update({isSending: false, job, jobShot: shot, preview: null});
    location.hash = job.id;
    refreshHistory();
  } catch (problem) {
    if (problem.status === 401) update({askKey: problem.message});
    refuse(problem);
  }
}

/** Wait a little for the first worker: what a request may ask for depends on what lives. */
async function workerComes() {
  const until = Date.now() + WORKER_PATIENCE;
  while (!state.models.length && Date.now() < until) {
    await lookAround();
    await new Promise((done) => setTimeout(done, 500));
  }
}

export function drawAgain(seed, quality = state.job.request.quality) {
  changeShot(() => setOption(state.jobShot, 'seed', seed));
  return draw(quality);
}

export async function cancelJob() {
  try {
    update({job: await service.cancel(state.job.id)});
  } catch (problem) {
    say(problem.message);
  }
}

export function leaveJob() {
  following?.abort();
  following = null;
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
  update({job: null, jobShot: null, preview: null, isLost: false});
}

/** Show the job that the address names, after a reload as well. */
async function openHash() {
  const id = location.hash.slice(1);
  following?.abort();
  if (!id.startsWith('itp_')) return update({job: null, jobShot: null, preview: null});
  if (state.askKey !== null) return undefined;
  try {
    const job = await service.readJob(id);
    const shot = await shelf.loadJob(id);
    update({job, jobShot: shot, preview: null});
    if (shot && !state.shot.keys.length) update({shot: {...shot, options: plain(shot.options)}});
    following = new AbortController();
    follow(id, following.signal, onEvent);
  } catch (problem) {
    if (problem.status === 404) problem.message = 'This job has expired or was deleted.';
    update({job: null, problem});
  }
  return undefined;
}

/** The options to go on with; with the seed of the job, unchanged segments are reused. */
const plain = ({quality, ...options}) =>
  (quality === 'preview' || !state.job ? options : {...options, seed: state.job.request.seed});

/** Take a shot of the history to the timeline, to change it. */
export function editShot() {
  const {jobShot} = state;
  const shot = jobShot && {...jobShot, options: plain(jobShot.options)};
  leaveJob();
  if (shot) changeShot(() => shot, null);
}

function onEvent(event, data) {
  if (event === 'lost' || event === 'live') return update({isLost: event === 'lost'});
  if (event === 'preview') return update({preview: data});
  if (event === 'progress') return update({job: {...state.job, status: 'running', progress: data}});
  if (event === 'refused') {
    return update(data.status === 401 ? {askKey: data.message} : {problem: data});
  }
  if (event !== 'status') return undefined;
  const isNews = data.status !== state.job?.status;
  update({job: data});
  if (isNews) {
    say(`The job is ${data.status}.`);
    lookAround();
  }
  shelf.noteStatus(data).then(refreshHistory);
  return undefined;
}

export async function keepThumbnail(source, width, height) {
  const {job} = state;
  const known = state.history.find(({id}) => id === job?.id);
  if (!job || !known || known.thumbnail) return;
  await shelf.noteStatus(job, await thumbnailOf(source, width, height));
  refreshHistory();
}

export async function makeKey(frame, variant) {
  const {job, jobShot, limits} = state;
  const blob = await service.drawing(job.id, frame, variant);
  const file = new File([blob], `drawing-${frame}.png`, {type: 'image/png'});
  const key = await keyOf(file);
  const base = jobShot ?? state.shot;
  const shot = {...base, options: plain(base.options)};
  leaveJob();
  changeShot(() => insertDrawing(shot, frame, key, limits), null);
  say(`Drawing ${frame} is a key now.`);
}

export async function refreshHistory() {
  update({history: await shelf.listJobs()});
}

export async function forgetHistory() {
  await shelf.clear();
  await refreshHistory();
}

/** Load a shot that ships with the page. */
export async function useExample(example) {
  const files = await Promise.all(example.files.map(async (name) => {
    const blob = await (await service.call(`studio/examples/${name}`)).blob();
    return new File([blob], name, {type: blob.type});
  }));
  const keys = await Promise.all(files.map(keyOf));
  const known = Object.entries(example.options ?? {}).filter(
    ([name]) => name in state.limits.fields);
  leaveJob();
  changeShot(() => ({keys, options: Object.fromEntries(known)}), null);
}
