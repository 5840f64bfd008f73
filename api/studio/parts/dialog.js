// Asks for the API key, once for the life of the tab.

import {html, useEffect, useRef} from '../vendor/preact.js';
import {useKey} from '../script/actions.js';
import {useStore} from '../script/store.js';

export function KeyDialog() {
  const reason = useStore(({askKey}) => askKey);
  const dialog = useRef();
  useEffect(() => {
    if (reason !== null && !dialog.current.open) dialog.current.showModal();
    if (reason === null) dialog.current.close();
  }, [reason]);
  const send = (event) => {
    event.preventDefault();
    useKey(new FormData(event.target).get('key').trim());
  };
  return html`
    <dialog ref=${dialog} class="dialog" aria-labelledby="key-title"
      onCancel=${(event) => event.preventDefault()}>
      <form onSubmit=${send}>
        <h2 id="key-title">This studio asks for a key</h2>
        <p>The person who runs it can give you one. It stays in this tab and is forgotten when you
          close it.</p>
        <label class="field">
          <span>API key</span>
          <input name="key" type="password" required autocomplete="off" spellcheck=${false}
            aria-describedby="key-reason" aria-invalid=${Boolean(reason)} />
        </label>
        <p id="key-reason" class="complaint" role="alert">${reason}</p>
        <button class="button is-primary">Come in</button>
      </form>
    </dialog>`;
}
