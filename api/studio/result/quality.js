// The quality report as small plots; docs/quality.md says what the figures mean.

import {html} from '../vendor/preact.js';

const BAR = 12; // width of a bar with its gap, of the plot's units
const TALL = 24;
const GOOD_PSNR = 45; // dB; a key that is kept this well looks untouched
const SEEN_DRIFT = 5; // ΔE; a drift that anybody sees

export function Quality({job}) {
  const report = job.quality?.[0];
  if (!report) return null;
  const {key_psnr_db: psnr, color_drift: drift} = report;
  return html`<section class="panel-block" aria-label="Quality report">
    <h3>How it came out</h3>
    <div class="plots">
      <${Plot} title="Keys kept" what="Key" unit="dB" values=${psnr} most=${GOOD_PSNR} />
      <${Plot} title="Colour drift" what="Segment" unit="ΔE" values=${drift}
        most=${Math.max(SEEN_DRIFT, ...drift)} />
      <${Figure} title="Flicker" value=${report.flicker.toFixed(3)} />
      <${Figure} title="Largest jump" value=${report.largest_jump.toFixed(2)} />
      <${Figure} title="Repeated drawings" value=${report.repeated_drawings} />
    </div>
  </section>`;
}

const Figure = ({title, value}) => html`<div class="plot">
  <span>${title}</span><span></span><strong>${value}</strong></div>`;

/** A bar for each key or segment, and what they come to; null is identical to the drawing. */
function Plot({title, what, unit, values, most}) {
  if (!values.length) return null;
  const known = values.filter((value) => value !== null);
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const said = values.map((value, index) =>
    `${what} ${index + 1}: ${value === null ? 'identical' : `${value.toFixed(1)} ${unit}`}`);
  const width = values.length * BAR;
  return html`<div class="plot">
    <span>${title}</span>
    <svg viewBox=${`0 0 ${width} ${TALL}`} width=${width} height=${TALL} role="img"
      aria-label=${said.join(', ')}>
      <line class="plot-floor" x1="0" x2=${width} y1=${TALL} y2=${TALL} />
      ${values.map((value, index) => {
        const tall = Math.max(2, TALL * Math.min(1, (value ?? most) / most));
        return html`<rect key=${index} x=${index * BAR + 1} y=${TALL - tall} width=${BAR - 3}
          height=${tall} rx="1.5"><title>${said[index]}</title></rect>`;
      })}
    </svg>
    <strong>${known.length ? `${mean.toFixed(1)} ${unit}` : 'exactly'}</strong>
  </div>`;
}
