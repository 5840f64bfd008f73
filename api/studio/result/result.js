// Beside a finished result: downloads, what to do next, and how it came out.

import {Icon} from '../parts/icons.js';
import {drawAgain, editShot, makeKey, say} from '../script/actions.js';
import {cautionOf, isPreview} from '../script/engines.js';
import {key} from '../script/service.js';
import {asCurl, asPython} from '../script/snippets.js';
import {useStore} from '../script/store.js';
import {duration, nameOf, plural, sentence, size} from '../script/words.js';
import {html, useState} from '../vendor/preact.js';
import {Quality} from './quality.js';

export function Result({job}) {
  const caution = cautionOf(job.model);
  const {prompt} = job.request;
  // one for each kind: several keys may give the same warning
  const notes = Object.fromEntries(job.warnings.map(({code, detail}) => [code, detail]));
  return html`
    <section class="panel-block">
      <h2>Done <small>in ${duration(job.timing.run_seconds)}</small></h2>
      ${prompt && html`<p class="prompt-shown">${prompt}</p>`}
      ${caution && html`<p class="caution">${caution}</p>`}
      ${Object.values(notes).map((detail) => html`<p class="quiet note" key=${detail}>
        ${sentence(detail)}</p>`)}
      <ul class="downloads">${job.outputs.map((output) => html`<li key=${output.name}>
        <a class="button" href=${output.url} download target=${targetOf(output)} rel="noopener">
          <${Icon} name="download" />${nameOf(output.format)}
          ${(output.variant ?? 1) > 1 ? ` ${output.variant}` : ''}
          <small>${size(output.bytes)}</small></a></li>`)}</ul>
    </section>
    <${Next} job=${job} />
    <${Quality} job=${job} />
    <${Copies} />
    <p class="quiet colophon">${colophon(job)}</p>`;
}

/** Browsers ignore `download` for a bucket's own address, and would leave the page for the film. */
const targetOf = ({url}) => (new URL(url).origin === location.origin ? undefined : '_blank');

function colophon(job) {
  const {seed, steps} = job.request;
  const parts = [job.model?.name];
  if (!isPreview(job.model)) parts.push(`seed ${seed}`, plural(steps, 'step'));
  if (job.plan?.reused) parts.push(`${job.plan.reused} of ${job.plan.segments} segments reused`);
  const memory = job.model?.peak_memory_bytes;
  if (memory) parts.push(`${size(memory)} on ${job.model.device}`);
  return parts.filter(Boolean).join(' · ');
}

/** What a result leads to. */
function Next({job}) {
  const shot = useStore((state) => state.jobShot);
  const models = useStore((state) => state.models);
  const hasPainter = models.some((model) => !isPreview(model));
  const wasPreview = isPreview(job.model);
  if (!shot) return null;
  const other = () => Math.floor(Math.random() * 2 ** 32);
  return html`<section class="panel-block next" aria-label="What next">
    ${wasPreview && hasPainter && html`<button class="button is-primary is-large"
      onClick=${() => drawAgain(job.request.seed, 'final')}>Draw with ToonCrafter</button>`}
    <button class="button" onClick=${editShot}><${Icon} name="pencil" />Edit shot</button>
    ${!wasPreview && html`<button class="button" onClick=${() => drawAgain(other())}>
      <${Icon} name="dice" />Another seed</button>`}
    <${UseDrawing} job=${job} />
  </section>`;
}

function UseDrawing({job}) {
  const limits = useStore((state) => state.limits);
  const shown = useStore((state) => state.shownDrawing);
  if (!limits?.hasDrawings || !shown || shown.isKey) return null;
  return html`<button class="button is-whole" onClick=${() => makeKey(shown.index, shown.take)}>
    <${Icon} name="pin" />Make drawing ${shown.index + 1} a key</button>`;
}

/** Copy a text, also where the page has no secure address and so no clipboard of its own. */
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.body.appendChild(document.createElement('textarea'));
  area.value = text;
  area.select();
  document.execCommand('copy');
  area.remove();
  return undefined;
}

function Copies() {
  const shot = useStore((state) => state.jobShot);
  const limits = useStore((state) => state.limits);
  const [copied, setCopied] = useState('');
  if (!shot) return null;
  const needsKey = Boolean(key.get());
  const copy = async (name, text) => {
    await toClipboard(text);
    setCopied(name);
    say(`${name} copied.`);
    setTimeout(() => setCopied(''), 2000);
  };
  const button = (name, write) => html`<button class="button"
    onClick=${() => copy(name, write(shot, limits, needsKey))}>
    <${Icon} name="copy" />${copied === name ? 'Copied' : name}</button>`;
  return html`<section class="panel-block" aria-label="The same by program">
    <h3>The same by program</h3>
    <div class="copies">${button('curl', asCurl)}${button('Python', asPython)}</div>
  </section>`;
}
