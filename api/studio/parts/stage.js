// The hero: whatever there is to see of the shot, at its largest.

import {Player} from '../result/player.js';
import {Running} from './running.js';
import {dropFiles, editShot} from '../script/actions.js';
import {filesOf} from '../script/images.js';
import {useStore} from '../script/store.js';
import {sentence} from '../script/words.js';
import {html, useState} from '../vendor/preact.js';
import {Empty} from './empty.js';

const ENDED = ['failed', 'canceled'];

export function Stage() {
  const shot = useStore((state) => state.shot);
  const job = useStore((state) => state.job);
  const problem = useStore((state) => state.problem);
  const [isOver, setOver] = useState(false);
  const drop = (event) => {
    setOver(false);
    const files = filesOf(event.dataTransfer);
    if (!files.length) return;
    event.preventDefault();
    dropFiles(files);
  };
  return html`
    <section class=${`stage${isOver ? ' is-over' : ''}`} aria-label="Stage"
      onDragOver=${() => setOver(true)} onDragLeave=${() => setOver(false)} onDrop=${drop}>
      ${content(shot, job, problem)}
    </section>`;
}

function content(shot, job, problem) {
  if (job?.status === 'succeeded') return html`<${Player} key=${job.id} job=${job} />`;
  if (ENDED.includes(job?.status)) return html`<${Ended} job=${job} />`;
  if (job) return html`<${Running} job=${job} />`;
  if (problem && !shot.keys.length) return html`<${Ended} problem=${problem} />`;
  return shot.keys.length ? html`<${Keys} shot=${shot} />` : html`<${Empty} />`;
}

/** Before a run: the selected key, or both keys of the selected gap. */
function Keys({shot}) {
  const selected = useStore((state) => state.selected);
  const index = Math.min(selected?.index ?? 0, shot.keys.length - 1);
  const isGap = selected?.kind === 'gap' || (!selected && shot.keys.length > 1);
  const both = isGap ? [shot.keys[index], shot.keys[(index + 1) % shot.keys.length]]
    : [shot.keys[index]];
  const readable = both.filter((key) => key.width);
  const shown = readable.length ? readable : both.slice(0, 1);
  const first = shot.keys[0];
  const names = shown.map((key) => key.name).join(' and ');
  return html`
    <figure class=${`paper${shown.length > 1 ? ' is-onion' : ''}`}
      style=${{'--ratio': first.width ? first.width / first.height : 1.6}}>
      ${shown.map((key, number) => html`<${Sheet} key=${`${key.id}${number}`} drawing=${key} />`)}
      <figcaption class="unseen">${names}</figcaption>
    </figure>
    ${shot.keys.length === 1 && html`<p class="stage-hint">One more drawing and you can begin.
      </p>`}`;
}

function Sheet({drawing}) {
  return drawing.width
    ? html`<img src=${drawing.url} alt="" />`
    : html`<span class="sheet-name">${drawing.name}</span>`;
}

/** A job without a result: its keys, faint, and what happened. */
function Ended({job, problem}) {
  const shot = useStore((state) => state.jobShot);
  const first = job?.request.keyframes[0].image;
  const keys = shot?.keys.filter((key) => key.width).slice(0, 2) ?? [];
  const error = job?.error ?? problem;
  const known = error?.code && error.code !== 'unreachable';
  return html`
    ${first && html`<figure class="paper is-onion is-faint"
      style=${{'--ratio': first.width / first.height}}>
      ${keys.map((key) => html`<img key=${key.id} src=${key.url} alt="" />`)}
    </figure>`}
    <div class="message" role=${error ? 'alert' : 'status'}>
      <h2>${error ? 'That did not work' : 'Stopped'}</h2>
      <p>${error ? sentence(error.detail ?? error.message) : 'Your keys are still here.'}</p>
      <p class="message-actions">
        <button class="button is-primary" onClick=${editShot}>Back to the shot</button>
        ${known && html`<a class="button is-quiet" href=${`errors/${error.code}`}>
          About this error</a>`}
      </p>
    </div>`;
}
