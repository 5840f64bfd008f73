// Plays the result and steps through it; a stopped film shows the drawing itself, not the video.

import {Icon} from '../parts/icons.js';
import {keepThumbnail} from '../script/actions.js';
import {update, useStore} from '../script/store.js';
import {html, useEffect, useRef, useState} from '../vendor/preact.js';
import {exposureSheet, useDrawing} from './drawings.js';
import {Strip} from './strip.js';

const PLAYABLE = ['mp4', 'webm'];

/** Follow a video by the frame that it shows. */
function useFrame(video, fps, count) {
  const [frame, setFrame] = useState(0);
  useEffect(() => {
    const element = video.current;
    if (!element) return undefined;
    let handle;
    const shown = (_, {mediaTime}) => {
      setFrame(Math.min(count - 1, Math.floor(mediaTime * fps + 0.01)));
      handle = element.requestVideoFrameCallback(shown);
    };
    handle = element.requestVideoFrameCallback(shown);
    return () => element.cancelVideoFrameCallback(handle);
  }, [video.current, fps, count]);
  return [frame, setFrame];
}

export function Player({job}) {
  const takes = [...new Set(job.outputs.map(({variant = 1}) => variant))].sort();
  const [take, setTake] = useState(takes[0] ?? 1);
  const output = job.outputs.find(({format, variant = 1}) =>
    PLAYABLE.includes(format) && variant === take);
  return html`
    ${takes.length > 1 && html`<div class="takes" role="group" aria-label="Takes">
      ${takes.map((one) => html`<button key=${one} class="button" aria-pressed=${one === take}
        onClick=${() => setTake(one)}>Take ${one}</button>`)}</div>`}
    <${Film} key=${take} job=${job} output=${output} take=${take} />`;
}

function Film({job, output, take}) {
  const video = useRef();
  const {fps, sheet, keys} = exposureSheet(job, output);
  const [frame, setFrame] = useFrame(video, fps, sheet.length);
  const [isPlaying, setPlaying] = useState(false);
  const [loops, setLoops] = useState(true);
  const [onion, setOnion] = useState(false);
  const [compared, setCompared] = useState(false);
  const current = sheet[Math.min(frame, sheet.length - 1)] ?? 0;
  const last = sheet.at(-1) ?? 0;
  useEffect(() => {
    const shown = {index: current, take, isKey: keys.includes(current)};
    update({shownDrawing: isPlaying ? null : shown});
    return () => update({shownDrawing: null});
  }, [isPlaying, current, take]);

  useEffect(() => {
    if (output || !isPlaying) return undefined;
    const turn = setInterval(() => setFrame((now) => (now + 1) % sheet.length), 1000 / fps);
    return () => clearInterval(turn);
  }, [output, isPlaying, fps]);

  const showFrame = (wanted) => {
    const to = Math.max(0, Math.min(sheet.length - 1, wanted));
    setFrame(to);
    if (!video.current) setPlaying(false);
    else {
      video.current.pause();
      video.current.currentTime = (to + 0.5) / fps;
    }
  };
  const showDrawing = (index) => showFrame(sheet.indexOf(index));
  const step = (by) => showDrawing((current + by + last + 1) % (last + 1));
  const toggle = () => {
    if (!video.current) setPlaying(!isPlaying);
    else if (video.current.paused) video.current.play();
    else video.current.pause();
  };
  const press = (event) => {
    const actions = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => showDrawing(0),
      End: () => showDrawing(last), o: () => setOnion(!onion), c: () => setCompared(!compared),
      l: () => setLoops(!loops), ' ': event.target === event.currentTarget && toggle,
    };
    const action = event.target.type !== 'range' && actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  };
  const {width, height} = output ?? job.outputs[0] ?? job.request;
  const isStill = !isPlaying || !output;
  return html`
    <div class="player" tabindex="0" role="group" aria-label="Player; arrow keys step, space plays"
      onKeyDown=${press}>
      <div class="paper is-result" style=${{'--ratio': width / height}}>
        ${output && html`<video ref=${video} src=${output.url} muted playsinline autoplay
          loop=${loops} onPlay=${() => setPlaying(true)} onPause=${() => setPlaying(false)}
          onLoadedData=${({target}) => keepThumbnail(target, width, height)}></video>`}
        ${isStill && html`<${Still} job=${job.id} index=${current} take=${take} />`}
        ${isStill && onion && html`<${Still} job=${job.id} index=${current - 1} take=${take}
          kind="is-before" /><${Still} job=${job.id} index=${current + 1} take=${take}
          kind="is-after" />`}
        ${compared && html`<${Compare} job=${job} take=${take} keys=${keys} index=${current} />`}
      </div>
    </div>
    <div class="transport">
      <span class="transport-group">
        <button class="button is-quiet" aria-label="Drawing before" onClick=${() => step(-1)}>
          <${Icon} name="back" /></button>
        <button class="button is-round" aria-label=${isPlaying ? 'Pause' : 'Play'}
          onClick=${toggle}><${Icon} name=${isPlaying ? 'pause' : 'play'} /></button>
        <button class="button is-quiet" aria-label="Drawing after" onClick=${() => step(1)}>
          <${Icon} name="forward" /></button>
      </span>
      <span class="counter"><span class=${keys.includes(current) ? 'is-key' : ''}>${current + 1}
        </span> of ${last + 1}</span>
      <span class="transport-group">
        <${Toggle} name="loop" label="Loop" isOn=${loops} set=${setLoops} />
        <${Toggle} name="onion" label="Onion skin" isOn=${onion} set=${setOnion} />
        <${Toggle} name="compare" label="Compare with keys" isOn=${compared} set=${setCompared} />
      </span>
    </div>
    <${Strip} job=${job} take=${take} count=${last + 1} keys=${keys} current=${current}
      onShow=${showDrawing} />`;
}

function Toggle({name, label, isOn, set}) {
  return html`<button class="button is-quiet" aria-pressed=${isOn} aria-label=${label}
    title=${label} onClick=${() => set(!isOn)}><${Icon} name=${name} /></button>`;
}

function Still({job, index, take, kind = ''}) {
  const count = useStore(({job: shown}) => shown?.plan?.drawings?.length ?? Infinity);
  const isThere = index >= 0 && index < count;
  const url = useDrawing(job, isThere ? index : null, take);
  return url && html`<img class=${`still ${kind}`} src=${url} alt="" />`;
}

/** A divider to drag: left of it lies the nearest key, as it was sent. */
function Compare({job, take, keys, index}) {
  const [share, setShare] = useState(50);
  const shot = useStore((state) => state.jobShot);
  const nearest = keys.reduce((best, key, number) =>
    Math.abs(key - index) < Math.abs(keys[best] - index) ? number : best, 0);
  const drawn = useDrawing(job.id, keys[nearest], take);
  const url = shot?.keys[nearest]?.width ? shot.keys[nearest].url : drawn;
  return html`
    ${url && html`<img class="still is-compared" src=${url} alt=""
      style=${{clipPath: `inset(0 ${100 - share}% 0 0)`}} />`}
    <span class="divider" style=${{left: `${share}%`}}></span>
    <input class="divider-range" type="range" min="0" max="100" value=${share}
      aria-label=${`Compare with key ${nearest + 1}`}
      onInput=${({target}) => setShare(Number(target.value))} />`;
}
