// What a new visitor sees: a place to drop drawings, and shots to try.

import {dropFiles, useExample} from '../script/actions.js';
import {inOrder} from '../script/images.js';
import {html} from '../vendor/preact.js';
import {EXAMPLES} from '../examples/examples.js';

export function FilePicker({children, className = 'button', multiple = true, onFiles, label}) {
  const pick = (event) => {
    onFiles(inOrder(event.target.files));
    event.target.value = '';
  };
  return html`<label class=${className}>
    <input class="unseen" type="file" accept="image/png,image/jpeg,image/webp,image/tiff"
      multiple=${multiple} onChange=${pick} aria-label=${label} />
    ${children}
  </label>`;
}

export function Empty() {
  return html`
    <div class="empty">
      <div class="pegs" aria-hidden="true"><i></i><i></i><i></i></div>
      <h2>Drop two drawings</h2>
      <p>You draw the keys. The model draws what lies between.</p>
      <${FilePicker} className="button is-primary is-large" onFiles=${(files) => dropFiles(files)}>
        Choose drawings</${FilePicker}>
    </div>
    <section class="examples" aria-label="Shots to try">
      <p>Nothing at hand? Try one of these.</p>
      <ul>${EXAMPLES.map((example) => html`<li key=${example.name}>
        <button onClick=${() => useExample(example)}>
          <span class="fan">${example.files.map((name) => html`
            <img key=${name} src=${`studio/examples/${name}`} alt="" width="512" height="320" />`)}
          </span>
          <strong>${example.name}</strong><small>${example.note}</small>
        </button></li>`)}</ul>
    </section>`;
}
