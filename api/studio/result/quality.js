// The quality report as small plots; docs/quality.md says what the figures mean.

import {html} from '../vendor/preact.js';

const BAR = 18; // width of a bar with its gap, of the drawing's units
const TALL = 40;

export function Quality({job}) {
  const report = job.quality?.[0];
  if (!report) return null;
  const {key_psnr_db: psnr, color_drift: drift} = report;
  const exact = psnr.every((value) => value === null);
  return html`<section class="panel-block quality" aria-label="Quality report">
    <h3>How it came out</h3>
    <div class="plots">
      ${!exact && html`<${Bars} title="Keys kept" unit="dB" values=${psnr} most=${50}
        note="higher is closer" what="Key" />`}
      <${Bars} title="Colour drift" unit="ΔE" values=${drift} most=${Math.max(5, ...drift)}
        note="lower is steadier" what="Segment" />
    </div>
    <dl class="figures">
      <div><dt>Flicker</dt><dd>${report.flicker.toFixed(3)}</dd></div>
      <div><dt>Repeated drawings</dt><dd>${report.repeated_drawings}</dd></div>
      <div><dt>Largest jump</dt><dd>${report.largest_jump.toFixed(2)}</dd></div>
    </dl>
  </section>`;
}

function Bars({title, unit, values, most, note, what}) {
  const said = values.map((value, index) =>
    `${what} ${index + 1}: ${value === null ? 'identical' : `${value.toFixed(1)} ${unit}`}`);
  const width = Math.max(values.length, 4) * BAR;
  return html`<figure class="plot">
    <svg viewBox=${`0 0 ${width} ${TALL}`} role="img" aria-label=${`${title}. ${said.join(', ')}`}>
      <line class="plot-floor" x1="0" x2=${width} y1=${TALL} y2=${TALL} />
      ${values.map((value, index) => {
        const tall = Math.max(2, TALL * Math.min(1, (value ?? most) / most));
        return html`<rect key=${index} class=${value === null ? 'is-exact' : ''}
          x=${index * BAR + 2} y=${TALL - tall} width=${BAR - 6} height=${tall} rx="2">
          <title>${said[index]}</title></rect>`;
      })}
    </svg>
    <figcaption>${title} <small>${note}</small></figcaption>
  </figure>`;
}
