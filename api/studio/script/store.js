// Holds the page's state in one place; parts read slices of it and draw themselves again.

import {useEffect, useState} from '../vendor/preact.js';

const listeners = new Set();

export const state = {
  limits: null, // what the contract says of fields, see limits.js
  models: [],
  queue: null,
  isOffline: false,
  askKey: null, // why a key is asked for; null while none is
  shot: {keys: [], options: {}},
  selected: null, // {kind: 'key' | 'gap', index}
  problem: null, // of the last submission or estimate
  estimate: null,
  isSending: false,
  job: null,
  jobShot: null, // the shot from which the job was made, if this browser made it
  shownDrawing: null, // {index, take, isKey} of the stopped player
  preview: null, // the last `preview` event
  isLost: false, // the event stream is interrupted
  history: [],
  notice: '', // read out by screen readers
};

/** Change some members of the state; a function gets the state and returns them. */
export function update(change) {
  Object.assign(state, typeof change === 'function' ? change(state) : change);
  for (const listener of [...listeners]) listener();
}

/** Return `select(state)`, and draw the calling part again when it differs. */
export function useStore(select) {
  const [, redraw] = useState(0);
  const selected = select(state);
  useEffect(() => {
    let last = selected;
    const look = () => {
      const now = select(state);
      if (now !== last) {
        last = now;
        redraw((count) => count + 1);
      }
    };
    listeners.add(look);
    look(); // the state may have changed between drawing and this effect
    return () => listeners.delete(look);
  }, []);
  return selected;
}
