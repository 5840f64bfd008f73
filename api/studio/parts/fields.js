// Form fields made from what the contract says of a field.

import {HINTS, LABELS, nameOf} from '../script/words.js';
import {html} from '../vendor/preact.js';

const numberOf = (event) => (event.target.value === '' ? null : Number(event.target.value));

/** One field, or nothing if the service does not know it; `usual` is the model's own default. */
export function Field({name, limits, value, onChange, usual, label = LABELS[name]}) {
  if (!limits[name]) return null;
  const about = {...limits[name], initial: usual ?? limits[name].initial};
  const {choices, type, list} = about;
  const hint = HINTS[name];
  if (type === 'boolean') {
    return html`<label class="field is-check" title=${about.description}>
      <input type="checkbox" name=${name} checked=${value ?? about.initial}
        onChange=${({target}) =>
          onChange(target.checked === about.initial ? null : target.checked)} />
      <span>${label}</span></label>`;
  }
  const isRange = about.max !== undefined;
  const inner = choices.length > 1 && !list && !isRange
    ? html`<${Choice} name=${name} about=${about} value=${value} onChange=${onChange} />`
    : html`<${Entry} name=${name} about=${about} value=${value} onChange=${onChange} />`;
  const isLong = about.maxLength > 200;
  return html`<label class=${isLong ? 'field is-wide' : 'field'} title=${about.description}>
    <span>${label}</span>${inner}${hint && html`<small>${hint}</small>`}</label>`;
}

function Choice({name, about, value, onChange}) {
  const pick = ({target}) => {
    const chosen = about.choices.find((choice) => String(choice) === target.value);
    onChange(chosen === about.initial ? null : chosen);
  };
  return html`<select name=${name} value=${value ?? about.initial} onChange=${pick}>
    ${about.choices.map((choice) => html`
      <option key=${choice} value=${choice}>${nameOf(choice, name)}</option>`)}
  </select>`;
}

function Entry({name, about, value, onChange}) {
  const {type, min, max, initial, maxLength} = about;
  const usual = initial ?? (name === 'seed' ? 'random' : '');
  if (type === 'integer' || type === 'number') {
    return html`<input type="number" name=${name} min=${min} max=${max}
      step=${type === 'integer' ? 1 : 'any'} value=${value ?? ''} placeholder=${usual}
      onChange=${(event) => onChange(numberOf(event))} />`;
  }
  return html`<input type="text" name=${name} value=${value ?? ''} maxlength=${maxLength}
    placeholder=${initial ?? ''} onChange=${({target}) => onChange(target.value || null)} />`;
}

/** A number between two buttons, for what is changed most. */
export function Stepper({label, value, min, max, onChange}) {
  const set = (next) => onChange(Math.max(min, Math.min(max, next)));
  return html`<span class="stepper">
    <button type="button" aria-label=${`Less: ${label}`} disabled=${value <= min}
      onClick=${() => set(value - 1)}>−</button>
    <input type="number" aria-label=${label} min=${min} max=${max} value=${value}
      onChange=${(event) => set(numberOf(event) ?? value)} />
    <button type="button" aria-label=${`More: ${label}`} disabled=${value >= max}
      onClick=${() => set(value + 1)}>+</button>
  </span>`;
}

/** A few choices side by side; `choices` are `[value, name]`. */
export function Segments({label, choices, value, onChange}) {
  return html`<fieldset class="segments"><legend>${label}</legend>
    <div>${choices.map(([choice, words]) => html`<button type="button" key=${choice}
      aria-pressed=${choice === value} onClick=${() => onChange(choice)}>${words}</button>`)}</div>
  </fieldset>`;
}
