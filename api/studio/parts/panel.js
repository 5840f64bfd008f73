// The panel beside the desk: what to ask for, the button, and what is known of the result.

import {Result} from '../result/result.js';
import {changeShot, draw, editShot} from '../script/actions.js';
import {cautionOf, engineOf, isPreviewOnly, qualitiesOf} from '../script/engines.js';
import {countOf, optionOf, setOption} from '../script/shot.js';
import {useStore} from '../script/store.js';
import {EXPOSURES, LABELS, duration, nameOf, plural, sentence} from '../script/words.js';
import {html} from '../vendor/preact.js';
import {Field, Segments} from './fields.js';

const GROUPS = [
  ['Film', ['fps', 'interpolate', 'loop', 'output_size']],
  ['Model', ['seed', 'steps', 'frame_stride', 'guidance_scale', 'guidance_rescale', 'eta',
    'negative_prompt', 'sketch_scale', 'variants']],
  ['Keys and colour', ['fit', 'background', 'preserve_keyframes', 'color_match', 'reuse',
    'priority']],
];

export function Panel() {
  const job = useStore((state) => state.job);
  const limits = useStore((state) => state.limits);
  const isOver = job?.status === 'failed' || job?.status === 'canceled';
  if (isOver) return null;
  if (!limits) return html`<aside class="panel" aria-label="Shot"></aside>`;
  return html`<aside class="panel" aria-label="Shot">
    ${job ? html`<${OfJob} job=${job} />` : html`<${OfShot} limits=${limits} />`}
  </aside>`;
}

function OfJob({job}) {
  if (job.status === 'succeeded') return html`<${Result} job=${job} />`;
  const {prompt} = job.request;
  return html`<section class="panel-block">
    <h2>In the works</h2>
    ${prompt && html`<p class="prompt-shown">${prompt}</p>`}
    <p class="quiet">${plural(job.request.keyframes.length, 'key')}. You may close this
      page and come back: its address leads here again.</p>
    <button class="button" onClick=${editShot}>Edit shot</button>
  </section>`;
}

function OfShot({limits}) {
  const shot = useStore((state) => state.shot);
  const set = (name) => (value) => changeShot((old) => setOption(old, name, value));
  const models = useStore((state) => state.models);
  const usual = engineOf(models)?.sampling ?? {};
  const field = (name) => html`<${Field} key=${name} name=${name} limits=${limits.fields}
    usual=${usual[name]} value=${shot.options[name]} onChange=${set(name)} />`;
  const isSampled = !isPreviewOnly(models);
  const groups = GROUPS.filter(([title]) => isSampled || title !== 'Model');
  const prompt = limits.fields.prompt;
  return html`
    <section class="panel-block">
      ${isSampled && html`<label class="field"><span>${LABELS.prompt} <small>optional</small></span>
        <textarea rows="2" name="prompt" maxlength=${prompt.maxLength} value=${shot.options.prompt}
          placeholder="a kitten leaps for a butterfly"
          onChange=${({target}) => set('prompt')(target.value)}></textarea></label>`}
      ${limits.fields.exposure && html`<${Segments} label=${LABELS.exposure}
        choices=${Object.entries(EXPOSURES).map(([count, name]) => [Number(count), name])}
        value=${optionOf(shot, 'exposure', limits)} onChange=${set('exposure')} />`}
    </section>
    <${DrawBlock} shot=${shot} limits=${limits} />
    <details class="advanced">
      <summary>More choices</summary>
      ${groups.map(([title, names]) => names.some((name) => name in limits.fields)
        && html`<fieldset key=${title}><legend>${title}</legend>
          ${names.map(field)}</fieldset>`)}
      <${Formats} limits=${limits} value=${shot.options.outputs} onChange=${set('outputs')} />
    </details>`;
}

function Formats({limits, value, onChange}) {
  if (limits.formats.length < 2) return null;
  const chosen = (value ?? limits.fields.outputs.initial).map(({format}) => format);
  const toggle = (format) => {
    const next = chosen.includes(format) ? chosen.filter((one) => one !== format)
      : [...chosen, format];
    if (next.length) onChange(next.map((one) => ({format: one})));
  };
  return html`<fieldset><legend>Files</legend><div class="formats">
    ${limits.formats.map((format) => html`<label class="field is-check" key=${format}>
      <input type="checkbox" name=${`format-${format}`} checked=${chosen.includes(format)}
        disabled=${chosen.length === 1 && chosen[0] === format}
        onChange=${() => toggle(format)} />
      <span>${nameOf(format)}</span></label>`)}
  </div></fieldset>`;
}

const QUICKER = [
  ['draft', 'Draft', 'ToonCrafter in a fourth of the work: near the result, less exact'],
  ['preview', 'Preview', 'The small preview engine, in seconds: not ToonCrafter'],
];

function DrawBlock({shot, limits}) {
  const models = useStore((state) => state.models);
  const isSending = useStore((state) => state.isSending);
  const problem = useStore((state) => state.problem);
  const can = qualitiesOf(models, limits);
  const isReady = shot.keys.length >= limits.minKeys && !isSending;
  // what the live workers draw beside the usual quality
  const quicker = can.length > 1 ? QUICKER.filter(([quality]) => can.includes(quality)) : [];
  const caution = cautionOf(engineOf(models));
  return html`
    <section class="panel-block draw-block">
      ${problem && html`<${Complaint} problem=${problem} />`}
      <div class="draw-buttons">
        <button class="button is-primary is-large" disabled=${!isReady}
          onClick=${() => draw()}>
          ${isSending ? (models.length ? 'Sending …' : 'Waiting …') : 'Draw'}</button>
        ${quicker.map(([quality, name, about]) => html`<button class="button is-large"
          key=${quality} title=${about} disabled=${!isReady}
          onClick=${() => draw(quality)}>${name}</button>`)}
      </div>
      <${Plan} shot=${shot} limits=${limits} />
      ${caution && html`<p class="caution">${caution}</p>`}
    </section>`;
}

function Plan({shot, limits}) {
  const plan = useStore((state) => state.estimate);
  if (shot.keys.length < limits.minKeys) {
    return html`<p class="quiet">Add ${plural(limits.minKeys - shot.keys.length, 'more drawing')} to
      begin.</p>`;
  }
  const count = plan?.frames ?? countOf(shot, limits);
  const total = plan?.seconds.total ?? null;
  return html`<p class="quiet">${plural(count, 'drawing')}${total === null ? ''
    : `, about ${duration(total)}`}${plan?.reused ? `, ${plan.reused} parts reused` : ''}.</p>`;
}

function Complaint({problem}) {
  return html`<div class="complaint" role="alert">
    <p>${problem.errors?.length ? 'This cannot be drawn yet' : sentence(problem.message)}</p>
    ${problem.errors?.length > 0 && html`<ul>${problem.errors.map((one) => html`
      <li key=${one.pointer}>${place(one.pointer)}${sentence(one.detail)}</li>`)}</ul>`}
  </div>`;
}

/** Say in words what a JSON pointer leads to. */
function place(pointer = '') {
  const [, list, index] = pointer.match(/^\/(keyframes|sketches)\/(\d+)/) ?? [];
  if (list) return `${list === 'keyframes' ? 'Key' : 'Sketch'} ${Number(index) + 1}: `;
  const name = pointer.split('/')[1];
  return name ? `${LABELS[name] ?? name}: ` : '';
}
