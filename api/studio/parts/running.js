// While a job waits or runs: what is being drawn, how far it is, and a way to stop it.

import {cancelJob} from '../script/actions.js';
import {useStore} from '../script/store.js';
import {STAGES, duration, plural} from '../script/words.js';
import {html} from '../vendor/preact.js';

export function Running({job}) {
  const preview = useStore((state) => state.preview);
  const shot = useStore((state) => state.jobShot);
  const isLost = useStore((state) => state.isLost);
  const first = job.request.keyframes[0].image;
  const ratio = first.width / first.height;
  const keys = shot?.keys.filter((key) => key.width).slice(0, 2) ?? [];
  return html`
    <figure class=${`paper is-running${preview ? '' : ' is-waiting'}`} style=${{'--ratio': ratio}}>
      ${preview
        ? html`<img src=${preview.image} alt="What the model is drawing now" />`
        : keys.map((key) => html`<img key=${key.id} src=${key.url} alt="" />`)}
    </figure>
    <${Progress} job=${job} isLost=${isLost} />`;
}

function Progress({job, isLost}) {
  const queue = useStore((state) => state.queue);
  const {progress} = job;
  const percent = job.status === 'running' ? (progress?.percent ?? 0) : 0;
  const [headline, detail] = words(job, queue);
  return html`
    <div class="progress">
      <div class="progress-words">
        <p><strong>${headline}</strong> <span>${isLost ? 'Connection lost, trying again …' : detail}
        </span></p>
        <button class="button" disabled=${job.cancel_requested_at} onClick=${cancelJob}>
          ${job.cancel_requested_at ? 'Stopping …' : 'Stop'}</button>
      </div>
      <progress max="100" value=${percent} aria-label="Progress of the shot"></progress>
    </div>`;
}

/** Return what happens now, and what is known beside it. */
function words(job, queue) {
  if (job.status === 'queued') return waiting(job, queue);
  const {progress} = job;
  if (!progress) return ['Starting', ''];
  const parts = [];
  const hasSteps = progress.stage === 'denoising' && progress.steps > 0;
  if (hasSteps) parts.push(`step ${progress.step} of ${progress.steps}`);
  if (progress.segments > 1) parts.push(`segment ${progress.segment} of ${progress.segments}`);
  if (progress.eta_seconds !== null) parts.push(`${duration(progress.eta_seconds)} left`);
  return [STAGES[progress.stage] ?? progress.stage, parts.join(' · ')];
}

function waiting({queue_position: position}, queue) {
  const wait = queue?.lanes[0]?.expected_wait_seconds;
  const alive = queue && Object.values(queue.workers).some((count) => count > 0);
  if (queue && !alive) return ['Waiting', 'no worker is there yet; the job starts when one comes'];
  const ahead = position ? `${plural(position, 'job')} ahead` : 'next in line';
  return ['Waiting', wait ? `${ahead} · about ${duration(wait)}` : ahead];
}
