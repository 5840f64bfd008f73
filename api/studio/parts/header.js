// The top bar: what the studio is, who draws, what this browser has made.

import {forgetHistory, forgetKey, startOver} from '../script/actions.js';
import {engineOf, isPreview, isUntrained} from '../script/engines.js';
import {key} from '../script/service.js';
import {useStore} from '../script/store.js';
import {duration, memoryOf, plural} from '../script/words.js';
import {html, useEffect, useMemo, useRef} from '../vendor/preact.js';
import {Icon} from './icons.js';

export function Header() {
  const hasKeys = useStore(({shot, job}) => shot.keys.length > 0 || job !== null);
  return html`
    <header class="bar">
      <h1 class="brand">ToonCrafter <span>studio</span></h1>
      <nav class="bar-tools" aria-label="Studio">
        <${Crew} />
        <${History} />
        ${hasKeys && html`<button class="button is-quiet" onClick=${startOver}>
          <${Icon} name="add" /><span class="wide">New shot</span></button>`}
        ${key.get() && html`<button class="button is-quiet" onClick=${forgetKey}
          aria-label="Forget the API key"><${Icon} name="key" /></button>`}
      </nav>
    </header>`;
}

/** A `details` that closes with Escape and when something else is used. */
function Popover({label, name, children}) {
  const element = useRef();
  useEffect(() => {
    const close = ({target, key: pressed}) => {
      const isOutside = target instanceof Node && !element.current.contains(target);
      if (element.current.open && (pressed === 'Escape' || (!pressed && isOutside))) {
        element.current.open = false;
        if (pressed) element.current.querySelector('summary').focus();
      }
    };
    document.addEventListener('click', close);
    document.addEventListener('keydown', close);
    return () => {
      document.removeEventListener('click', close);
      document.removeEventListener('keydown', close);
    };
  }, []);
  return html`<details class="popover" ref=${element}>
    <summary class="button is-quiet">${label}</summary>
    <section class="popover-body" aria-label=${name}>${children}</section>
  </details>`;
}

const nameOf = (model) => (isPreview(model) ? 'Preview engine' : model?.name ?? 'Ready');

function crewState(queue, models, isOffline) {
  if (isOffline) return ['is-away', 'No answer from the service'];
  if (!queue) return ['is-away', 'Looking for a worker'];
  if (queue.paused) return ['is-away', 'The queue is paused'];
  const {idle, busy, loading} = queue.workers;
  if (busy) return ['is-busy', plural(queue.running, 'job runs', 'jobs run')];
  if (idle) return ['is-idle', nameOf(engineOf(models))];
  if (loading) return ['is-busy', 'The model is being loaded'];
  return ['is-away', 'Waiting for a worker'];
}

/** Queue and workers at a glance. */
function Crew() {
  const queue = useStore((state) => state.queue);
  const models = useStore((state) => state.models);
  const isOffline = useStore((state) => state.isOffline);
  const [mood, words] = crewState(queue, models, isOffline);
  const waiting = queue?.lanes.reduce((sum, {depth}) => sum + depth, 0) ?? 0;
  const label = html`<span class=${`dot ${mood}`}></span>
    <span class="crew-words">${words}${waiting ? `, ${waiting} waiting` : ''}</span>`;
  return html`<${Popover} label=${label} name="Queue and workers">
    <h2>Who draws</h2>
    ${models.length === 0 && html`<p>No worker has a model loaded.</p>`}
    ${models.map((model) => html`<div class="crew-model" key=${model.name + model.weights}>
      <strong>${model.name}</strong>
      ${isUntrained(model) && html`<em class="tag">untrained: shows noise</em>`}
      ${isPreview(model) && html`<em class="tag">not ToonCrafter: moves and blends keys</em>`}
      <span>${plural(model.workers, 'worker')} on ${model.devices.join(', ')}, ${model.dtype}</span>
    </div>`)}
    ${queue && html`
      <h2>Queue</h2>
      <table>
        <thead><tr><th>Lane</th><th>Waiting</th><th>Expected wait</th></tr></thead>
        <tbody>${queue.lanes.map((lane) => html`<tr key=${lane.priority}>
          <td>${lane.priority}</td><td>${lane.depth}</td>
          <td>${lane.expected_wait_seconds === null ? 'not known yet'
            : duration(lane.expected_wait_seconds)}</td></tr>`)}</tbody>
      </table>
      <${Fleet} fleet=${queue.fleet ?? []} workers=${queue.workers} />`}
  </${Popover}>`;
}

/** The workers one by one, with what they hold and how much of their memory is taken. */
function Fleet({fleet, workers}) {
  const count = Object.values(workers).reduce((sum, one) => sum + one, 0);
  const more = count - fleet.length;
  return html`<h2>Workers</h2>
    ${fleet.length > 0 && html`<table>
      <thead><tr><th>State</th><th>Model</th><th>Memory</th></tr></thead>
      <tbody>${fleet.map((worker, index) => html`<tr key=${index}>
        <td>${worker.state}</td><td>${worker.model ?? 'none yet'}</td>
        <td>${memoryOf(worker)}</td></tr>`)}</tbody>
    </table>`}
    ${(more > 0 || !count) && html`<p>${count ? `and ${more} more` : 'No worker is there.'}</p>`}`;
}

function History() {
  const entries = useStore(({history}) => history);
  const label = html`<${Icon} name="history" /><span class="wide">History</span>`;
  return html`<${Popover} label=${label} name="History of this browser">
    <h2>Made in this browser</h2>
    ${entries.length === 0 && html`<p>Your shots will be listed here.</p>`}
    <ul class="history">${entries.map((entry) => html`<${Entry} key=${entry.id} entry=${entry} />`)}
    </ul>
    ${entries.length > 0 && html`<button class="button is-quiet" onClick=${forgetHistory}>
      Clear the list</button>`}
  </${Popover}>`;
}

function Entry({entry}) {
  const picture = entry.thumbnail ?? entry.keys[0]?.file;
  const url = useMemo(() => picture && URL.createObjectURL(picture), [picture]);
  const when = new Date(entry.created).toLocaleString(undefined,
    {dateStyle: 'medium', timeStyle: 'short'});
  const open = ({currentTarget}) => {
    currentTarget.closest('details').open = false;
  };
  return html`<li><a href=${`#${entry.id}`} onClick=${open}>
    <img src=${url} alt="" />
    <span>${entry.options.prompt || plural(entry.keys.length, 'key')}
      <small>${when}${entry.status === 'succeeded' ? '' : `, ${entry.status}`}</small></span>
  </a></li>`;
}
