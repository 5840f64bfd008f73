// Keeps this browser's shots, with their drawings, in IndexedDB: the draft, and one for each job.

const NAME = 'tooncrafter-studio';
const STORE = 'shots';
const DRAFT = 'draft';
const KEPT = 30; // jobs; the oldest are dropped

function settled(request) {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
}

let opened;

function open() {
  opened ??= (() => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, {keyPath: 'id'});
    return settled(request);
  })();
  return opened;
}

async function store(mode) {
  return (await open()).transaction(STORE, mode).objectStore(STORE);
}

/** Private windows may have no IndexedDB: the page then works without a history. */
async function attempt(action, otherwise) {
  try {
    return await action();
  } catch {
    return otherwise;
  }
}

const stripped = (image) => ({name: image.name, file: image.file, at: image.at});

function packed(shot) {
  const keys = shot.keys.map(({url, error, sketches, ...key}) => ({
    ...key,
    sketches: sketches.map(stripped),
  }));
  return {keys, options: shot.options};
}

function unpacked({keys, options}) {
  const withUrl = (image) => ({...image, url: image.file && URL.createObjectURL(image.file)});
  return {
    options,
    keys: keys.map((key) => ({...withUrl(key), sketches: key.sketches.map(withUrl)})),
  };
}

const put = (entry) => attempt(async () => settled((await store('readwrite')).put(entry)));
const get = (id) => attempt(async () => settled((await store('readonly')).get(id)));

export const saveDraft = (shot) => put({id: DRAFT, ...packed(shot)});

export async function loadDraft() {
  const found = await get(DRAFT);
  return found ? unpacked(found) : null;
}

export async function saveJob(job, shot) {
  await put({id: job.id, created: job.created_at, status: job.status, ...packed(shot)});
  const jobs = await attempt(listIds, []);
  for (const id of jobs.slice(KEPT)) await remove(id);
}

export async function noteStatus(job, thumbnail) {
  const found = await get(job.id);
  const thumb = thumbnail ?? found?.thumbnail;
  if (found) await put({...found, status: job.status, thumbnail: thumb});
}

export async function loadJob(id) {
  const found = await get(id);
  return found ? unpacked(found) : null;
}

/** Return the jobs' entries, newest first: ids grow with time. */
export async function listJobs() {
  const all = await attempt(async () => settled((await store('readonly')).getAll()), []);
  return all.filter(({id}) => id !== DRAFT).sort((a, b) => (a.id < b.id ? 1 : -1));
}

async function listIds() {
  return (await listJobs()).map(({id}) => id);
}

export const remove = (id) => attempt(async () => settled((await store('readwrite')).delete(id)));

export async function clear() {
  for (const id of await listIds()) await remove(id);
}
