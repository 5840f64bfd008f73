// A timing chart as animators draw it: a line from key to key with a mark for each drawing.

import {positions} from '../script/shot.js';
import {html} from '../vendor/preact.js';

const EDGE = 6; // of 100, left free at both ends

const place = (position) => EDGE + position * (100 - 2 * EDGE);

export function Chart({spacing, count, sketches = [], target = null}) {
  const where = positions(spacing, count);
  const marked = new Set(sketches.map(({at}) => at));
  return html`<svg class="chart" viewBox="0 0 100 32" preserveAspectRatio="none" aria-hidden="true">
    <line class="chart-line" x1="0" x2="100" y1="16" y2="16" />
    ${where.map((position, number) => {
      const isSketch = marked.has(number + 1);
      const kind = number + 1 === target ? 'is-target' : (isSketch ? 'is-sketch' : '');
      const reach = kind ? 12 : 6;
      return html`<line key=${number} class=${`chart-mark ${kind}`} x1=${place(position)}
        x2=${place(position)} y1=${16 - reach} y2=${16 + reach} />`;
    })}
  </svg>`;
}

/** Return the number of the drawing (the first is 1) that lies nearest to a drag event. */
export function nearest(event, spacing, count) {
  const box = event.currentTarget.getBoundingClientRect();
  const share = 100 * (event.clientX - box.left) / box.width;
  const distances = positions(spacing, count).map((position) => Math.abs(place(position) - share));
  return distances.indexOf(Math.min(...distances)) + 1;
}
