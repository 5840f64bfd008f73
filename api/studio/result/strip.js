// All drawings of the result in a row; keys are circled, as on an exposure sheet.

import {useStore} from '../script/store.js';
import {html, useEffect, useRef, useState} from '../vendor/preact.js';
import {useDrawing} from './drawings.js';

export function Strip({job, take, count, keys, current, onShow}) {
  const hasDrawings = useStore(({limits}) => limits?.hasDrawings);
  if (!hasDrawings) return null;
  return html`<ol class="strip" aria-label="Drawings">
    ${Array.from({length: count}, (_, index) => html`<${Frame} key=${index} job=${job.id}
      index=${index} take=${take} isKey=${keys.includes(index)} isCurrent=${index === current}
      onShow=${onShow} />`)}
  </ol>`;
}

function Frame({job, index, take, isKey, isCurrent, onShow}) {
  const item = useRef();
  const [isNear, setNear] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([{isIntersecting}]) =>
      isIntersecting && setNear(true), {rootMargin: '200px'});
    observer.observe(item.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const {current: element} = item;
    const strip = element.parentElement;
    if (!isCurrent || strip.scrollWidth <= strip.clientWidth) return;
    const {offsetLeft, offsetWidth} = element;
    const isSeen = offsetLeft >= strip.scrollLeft
      && offsetLeft + offsetWidth <= strip.scrollLeft + strip.clientWidth;
    if (!isSeen) strip.scrollLeft = offsetLeft - strip.clientWidth / 2;
  }, [isCurrent]);
  const url = useDrawing(job, isNear ? index : null, take);
  return html`<li ref=${item}>
    <button aria-current=${isCurrent ? 'true' : undefined} onClick=${() => onShow(index)}
      aria-label=${`Drawing ${index + 1}${isKey ? ', a key' : ''}`}>
      ${url ? html`<img src=${url} alt="" />` : html`<span class="strip-blank"></span>`}
      <span class=${isKey ? 'strip-number is-key' : 'strip-number'}>${index + 1}</span>
    </button></li>`;
}
