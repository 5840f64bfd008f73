// Icons as strokes on a grid of 20; they are decoration, so their buttons have labels.

import {html} from '../vendor/preact.js';

const PATHS = {
  add: 'M10 4v12M4 10h12',
  back: 'M12.5 4.5 7 10l5.5 5.5',
  forward: 'M7.5 4.5 13 10l-5.5 5.5',
  play: 'M6.5 4.2v11.6L16 10z',
  pause: 'M7 4.5v11M13 4.5v11',
  loop: 'M4.5 9a5.5 5.5 0 0 1 9.6-3.2L16 7.6M16 4v3.6h-3.6'
    + 'M15.5 11a5.5 5.5 0 0 1-9.6 3.2L4 12.4M4 16v-3.6h3.6',
  onion: 'M7.5 14.5a5 5 0 1 1 0-10 5 5 0 0 1 0 10zM12.5 15.5a5 5 0 1 0 0-10 5 5 0 0 0 0 10z',
  compare: 'M10 3v14M7 6.5 3.5 10 7 13.5M13 6.5l3.5 3.5-3.5 3.5',
  remove: 'M5 5l10 10M15 5 5 15',
  history: 'M3.5 10a6.5 6.5 0 1 0 2-4.7L3.5 7.2M3.5 3.8v3.4h3.4M10 6.5V10l2.5 1.8',
  key: 'M12.5 11.5a4 4 0 1 0-3.4-1.9L3.5 15.2v1.3H6v-2h2v-2l1.6-1.6a4 4 0 0 0 2.9.6zM13.5 7h.01',
  download: 'M10 3.5v9M6.2 9 10 12.8 13.8 9M4 16.2h12',
  copy: 'M7.5 7.5v-4h9v9h-4M3.5 7.5h9v9h-9z',
  swap: 'M4 7h11.5M12.5 4l3 3-3 3M16 13H4.5M7.5 10l-3 3 3 3',
  dice: 'M4 4h12v12H4zM7.5 7.5h.01M12.5 7.5h.01M10 10h.01M7.5 12.5h.01M12.5 12.5h.01',
  pencil: 'M4 16l1-4L13.5 3.5l3 3L8 15z',
  pin: 'M10 16.5v-5M6.5 3.5h7l-1 4.5 2 3.5h-9l2-3.5z',
};

export const Icon = ({name}) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
  <path d=${PATHS[name]} /></svg>`;
