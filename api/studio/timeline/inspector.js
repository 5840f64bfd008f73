// What can be changed of the selected key or gap.

import {FilePicker} from '../parts/empty.js';
import {Field, Stepper} from '../parts/fields.js';
import {Icon} from '../parts/icons.js';
import {addSketch, changeShot, replaceKey, say} from '../script/actions.js';
import {isPreviewOnly} from '../script/engines.js';
import {betweenOf, changeKey, moveKey, optionOf, removeKey, setOption} from '../script/shot.js';
import {useStore} from '../script/store.js';
import {nameOf, sentence} from '../script/words.js';
import {html, useState} from '../vendor/preact.js';

/** Move a key to another place. */
export function shift(index, to, count) {
  if (to < 0 || to >= count) return;
  changeShot((shot) => moveKey(shot, index, to), {kind: 'key', index: to});
  say(`Moved to place ${to + 1} of ${count}.`);
}

export function Inspector() {
  const selected = useStore((state) => state.selected);
  const shot = useStore((state) => state.shot);
  const limits = useStore((state) => state.limits);
  const index = selected?.index;
  if (!selected || index >= shot.keys.length) return html`<p class="inspector-hint quiet">
    Press a key or what lies between two keys to change it. Drag to reorder.</p>`;
  const Part = selected.kind === 'key' ? OfKey : OfGap;
  return html`<div class="inspector">
    <${Part} index=${index} shot=${shot} limits=${limits} /></div>`;
}

function OfKey({index, shot, limits}) {
  const key = shot.keys[index];
  const count = shot.keys.length;
  const set = (change) => changeShot((old) => changeKey(old, index, change));
  return html`
    <h2>Key ${index + 1} <small>${key.name}</small></h2>
    ${key.error && html`<p class="complaint" role="alert">${sentence(key.error)}</p>`}
    <div class="inspector-tools">
      <${Field} name="hold" limits=${limits.keyframe} value=${key.hold} label="Hold, film frames"
        onChange=${(hold) => set({hold})} />
      <button class="button" aria-label="Move left" disabled=${index === 0}
        onClick=${() => shift(index, index - 1, count)}><${Icon} name="back" /></button>
      <button class="button" aria-label="Move right" disabled=${index === count - 1}
        onClick=${() => shift(index, index + 1, count)}><${Icon} name="forward" /></button>
      <${FilePicker} multiple=${false} onFiles=${([file]) => file && replaceKey(index, file)}>
        <${Icon} name="swap" />Replace</${FilePicker}>
      <button class="button" onClick=${() => changeShot((old) => removeKey(old, index), null)}>
        <${Icon} name="remove" />Remove</button>
    </div>`;
}

function OfGap({index, shot, limits}) {
  const key = shot.keys[index];
  const count = betweenOf(shot, index, limits);
  const {min, max} = limits.between;
  const isLast = index === shot.keys.length - 1;
  const set = (change) => changeShot((old) => changeKey(old, index, change));
  // the loop's own segment has no `frame` to be read from, only the shot's number
  const setCount = (between) => (isLast || !('frame' in limits.keyframe)
    ? changeShot((old) => setOption(old, 'frames_between', between)) : set({between}));
  const isSampled = !isPreviewOnly(useStore((state) => state.models));
  const {choices = []} = limits.fields.spacing ?? {};
  const next = isLast ? 1 : index + 2;
  return html`
    <h2>Between key ${index + 1} and ${next}</h2>
    <div class="inspector-tools">
      ${max > min && html`<div class="field"><span>Drawings</span><${Stepper} value=${count}
        min=${min} max=${max} label="Drawings between" onChange=${setCount} /></div>`}
      ${choices.length > 0 && html`<label class="field"><span>Spacing</span>
        <select name="spacing" value=${key.spacing ?? optionOf(shot, 'spacing', limits)}
          onChange=${({target}) => set({spacing: target.value})}>
          ${choices.map((choice) => html`
            <option key=${choice} value=${choice}>${nameOf(choice)}</option>`)}
        </select></label>`}
      ${isSampled && limits.keyframe.prompt && html`<label class="field is-wide">
        <span>Here happens</span>
        <input type="text" name="gap-prompt" value=${key.prompt}
          maxlength=${limits.keyframe.prompt.maxLength} placeholder="as in the whole shot"
          onChange=${({target}) => set({prompt: target.value})} /></label>`}
    </div>
    ${isSampled && limits.fields.sketches && count > 0 && html`<${Sketches} index=${index}
      count=${count} sketches=${shot.keys[index].sketches}
      onChange=${(sketches) => set({sketches})} />`}`;
}

function Sketches({index, count, sketches, onChange}) {
  const [at, setAt] = useState(Math.ceil(count / 2));
  const place = Math.min(at, count);
  return html`<div class="sketches">
    ${sketches.map((sketch) => html`<span class="sketch" key=${sketch.id}>
      <img src=${sketch.url} alt="" />Sketch at ${sketch.at}
      <button class="button is-quiet" aria-label=${`Remove the sketch at ${sketch.at}`}
        onClick=${() => onChange(sketches.filter((one) => one !== sketch))}>
        <${Icon} name="remove" /></button></span>`)}
    <span class="sketch-add">
      <label>Sketch for drawing <input type="number" name="sketch-at" min="1" max=${count}
        value=${place} onChange=${({target}) => setAt(Number(target.value))} /> of ${count}</label>
      <${FilePicker} multiple=${false} label=${`Choose a sketch for drawing ${place} of ${count}`}
        onFiles=${([file]) => file && addSketch(index, place, file)}>
        <${Icon} name="pencil" />Choose</${FilePicker}>
    </span>
  </div>`;
}

