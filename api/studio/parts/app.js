// The room: header, desk with stage and timeline, and the panel beside it.

import {Timeline} from '../timeline/timeline.js';
import {html, useEffect} from '../vendor/preact.js';
import {dropFiles} from '../script/actions.js';
import {filesOf} from '../script/images.js';
import {useStore} from '../script/store.js';
import {KeyDialog} from './dialog.js';
import {Header} from './header.js';
import {Panel} from './panel.js';
import {Stage} from './stage.js';

/** Take files that are dropped or pasted anywhere else than on a place of their own. */
function useFilesOfWindow() {
  useEffect(() => {
    const over = (event) => event.dataTransfer?.types.includes('Files') && event.preventDefault();
    const drop = (event) => {
      const files = filesOf(event.dataTransfer);
      if (!files.length || event.defaultPrevented) return;
      event.preventDefault();
      dropFiles(files);
    };
    const paste = (event) => {
      const files = filesOf(event.clipboardData);
      if (files.length) dropFiles(files);
    };
    window.addEventListener('dragover', over);
    window.addEventListener('drop', drop);
    window.addEventListener('paste', paste);
    return () => {
      window.removeEventListener('dragover', over);
      window.removeEventListener('drop', drop);
      window.removeEventListener('paste', paste);
    };
  }, []);
}

export function App() {
  useFilesOfWindow();
  const isEmpty = useStore(({shot, job}) => !shot.keys.length && !job);
  const notice = useStore((state) => state.notice);
  return html`
    <${Header} />
    <main class=${isEmpty ? 'room is-empty' : 'room'}>
      <div class="desk">
        <${Stage} />
        ${!isEmpty && html`<${Timeline} />`}
      </div>
      ${!isEmpty && html`<${Panel} />`}
    </main>
    <p class="unseen" role="status">${notice}</p>
    <${KeyDialog} />`;
}
