// The drawings of a result: fetched once each, since an `<img>` cannot send a key.

import {drawing} from '../script/service.js';
import {state} from '../script/store.js';
import {useEffect, useState} from '../vendor/preact.js';

const MOST_AT_ONCE = 3; // requests, so that the video is not kept waiting

const known = new Map(); // address to the promise of a blob's URL
const waiting = [];
let running = 0;

function next() {
  if (running >= MOST_AT_ONCE || !waiting.length) return;
  running += 1;
  const {job, index, variant, done} = waiting.shift();
  drawing(job, index, variant)
    .then((blob) => done(URL.createObjectURL(blob)), () => done(null))
    .finally(() => {
      running -= 1;
      next();
    });
}

function urlOf(job, index, variant) {
  const name = `${job}/${variant}/${index}`;
  if (!known.has(name)) {
    known.set(name, new Promise((done) => {
      waiting.push({job, index, variant, done});
      next();
    }));
  }
  return known.get(name);
}

/** Return the URL of a drawing once it is here; null before, and where there is none. */
export function useDrawing(job, index, variant = 1) {
  const [url, setUrl] = useState(null);
  useEffect(() => {
    let isCurrent = true;
    setUrl(null);
    if (index !== null && state.limits?.hasDrawings) {
      urlOf(job, index, variant).then((found) => isCurrent && setUrl(found));
    }
    return () => {
      isCurrent = false;
    };
  }, [job, index, variant]);
  return url;
}

const rate = (fps) => {
  const [whole, part = 1] = String(fps).split('/').map(Number);
  return whole / part;
};

/**
 * Return which drawing each frame of the film shows, and the film's rate.
 *
 * An older service has no plan: each of its frames is a drawing.
 */
export function exposureSheet(job, output) {
  const fps = rate(output?.fps ?? job.request.fps);
  const planned = job.plan?.drawings;
  if (!planned) {
    const count = output?.frames ?? 0;
    return {fps, sheet: Array.from({length: count}, (_, frame) => frame), keys: [0, count - 1]};
  }
  const times = job.request.interpolate ?? 1; // film frames that the file has for each planned one
  const sheet = planned.flatMap(({index, film_frames: shown}) =>
    Array(times * shown.length).fill(index));
  const keys = job.request.keyframes.map((key, number) =>
    key.frame ?? number * ((job.request.frames_between ?? 14) + 1));
  return {fps, sheet, keys};
}
