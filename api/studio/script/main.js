// Starts the page.

import {App} from '../parts/app.js';
import {html, render} from '../vendor/preact.js';
import {begin} from './actions.js';

render(html`<${App} />`, document.body);
begin();
