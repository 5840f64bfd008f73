// The timeline: keys in order, and between each two the timing chart of what will be drawn.

import {FilePicker} from '../parts/empty.js';
import {Icon} from '../parts/icons.js';
import {addSketch, changeShot, dropFiles, say} from '../script/actions.js';
import {isPreviewOnly} from '../script/engines.js';
import {filesOf} from '../script/images.js';
import {betweenOf, framesOf, optionOf, removeKey} from '../script/shot.js';
import {update, useStore} from '../script/store.js';
import {plural} from '../script/words.js';
import {html, useState} from '../vendor/preact.js';
import {Chart, nearest} from './chart.js';
import {Inspector, shift} from './inspector.js';

const MOVED = 'application/x-tooncrafter-key';

export function Timeline() {
  const shot = useStore((state) => state.shot);
  const job = useStore((state) => state.job);
  const limits = useStore((state) => state.limits);
  if (job || !limits || !shot.keys.length) return null;
  const isLoop = Boolean(shot.options.loop);
  const frames = framesOf(shot, limits);
  const last = shot.keys.length - 1;
  return html`
    <section class="timeline" aria-label="Timeline">
      <ol class="track">
        ${shot.keys.map((key, index) => html`
          <${Key} key=${key.id} drawing=${key} index=${index} frame=${frames[index]} />
          ${(index < last || isLoop) && html`<${Gap} key=${`gap${key.id}`} index=${index}
            shot=${shot} limits=${limits} />`}`)}
        ${shot.keys.length < limits.maxKeys && html`<li class="add" key="add">
          <${FilePicker} className="add-tile" onFiles=${(files) => dropFiles(files)}
            label="Add drawings to the end of the shot">
            <${Icon} name="add" /><span>Add</span></${FilePicker}></li>`}
      </ol>
      <${Inspector} />
    </section>`;
}

const select = (kind, index) => update(({selected}) => ({
  selected: selected?.kind === kind && selected.index === index ? null : {kind, index},
}));

const isSelected = (kind, index) => ({selected}) =>
  selected?.kind === kind && selected.index === index;

function Key({drawing, index, frame}) {
  const count = useStore(({shot}) => shot.keys.length);
  const selected = useStore(isSelected('key', index));
  const [isTarget, setTarget] = useState(false);
  const drag = (event) => {
    event.dataTransfer.setData(MOVED, String(index));
    event.dataTransfer.effectAllowed = 'move';
  };
  const over = (event) => {
    const {types} = event.dataTransfer;
    if (!types.includes(MOVED) && !types.includes('Files')) return;
    event.preventDefault();
    setTarget(true);
  };
  const drop = (event) => {
    setTarget(false);
    event.preventDefault();
    const from = event.dataTransfer.getData(MOVED);
    const files = filesOf(event.dataTransfer);
    if (from !== '') shift(Number(from), index, count);
    else if (files.length) dropFiles(files, index + 1);
  };
  const press = (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (event.altKey && step) {
      event.preventDefault();
      shift(index, index + step, count);
    } else if (event.key === 'Delete') {
      changeShot((shot) => removeKey(shot, index), null);
      say(`Key ${index + 1} removed.`);
    }
  };
  const name = `Key ${index + 1}, ${drawing.name}, drawing ${frame + 1}`;
  return html`<li class=${`key${isTarget ? ' is-target' : ''}${drawing.error ? ' is-bad' : ''}`}>
    <button class="key-sheet" draggable aria-pressed=${selected} aria-label=${name}
      onClick=${() => select('key', index)} onKeyDown=${press} onDragStart=${drag}
      onDragOver=${over} onDragLeave=${() => setTarget(false)} onDrop=${drop}>
      ${drawing.width ? html`<img src=${drawing.url} alt="" draggable=${false} />`
        : html`<span class="sheet-name">${drawing.name}</span>`}
    </button>
    <span class="key-number" aria-hidden="true">${frame + 1}</span>
  </li>`;
}

function Gap({index, shot, limits}) {
  const selected = useStore(isSelected('gap', index));
  const [target, setTarget] = useState(null);
  const count = betweenOf(shot, index, limits);
  const key = shot.keys[index];
  const spacing = key.spacing ?? optionOf(shot, 'spacing', limits);
  const models = useStore((state) => state.models);
  const hasSketches = limits.fields.sketches && !isPreviewOnly(models);
  const over = (event) => {
    if (!event.dataTransfer.types.includes('Files') || !hasSketches || !count) return;
    event.preventDefault();
    setTarget(nearest(event, spacing, count));
  };
  const drop = (event) => {
    const [file] = filesOf(event.dataTransfer);
    setTarget(null);
    if (!file || !target) return;
    event.preventDefault();
    addSketch(index, target, file);
  };
  const name = `Between key ${index + 1} and ${index + 2}: ${plural(count, 'drawing')}`;
  return html`<li class="gap">
    <button class="gap-chart" aria-pressed=${selected} aria-label=${name}
      onClick=${() => select('gap', index)} onDragOver=${over} onDrop=${drop}
      onDragLeave=${() => setTarget(null)}>
      <${Chart} spacing=${spacing} count=${count} sketches=${key.sketches} target=${target} />
      <span class="gap-count">${count}</span>
    </button>
  </li>`;
}
