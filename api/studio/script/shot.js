// The shot: keys in order, what lies between them, and the request that they become.
// All functions are pure; a change returns another shot.

/** Return how many drawings lie between a key and the next one, or after the last in a loop. */
export function betweenOf(shot, index, limits) {
  const own = index < shot.keys.length - 1 ? shot.keys[index].between : null;
  return own ?? optionOf(shot, 'frames_between', limits);
}

/** Return a chosen option, or the default of the service. */
export function optionOf(shot, name, limits) {
  const {initial} = name === 'frames_between' ? limits.between : (limits.fields[name] ?? {});
  return shot.options[name] ?? initial;
}

/** Return the index of each key's drawing in the result. */
export function framesOf(shot, limits) {
  let frame = 0;
  return shot.keys.map((_, index) => {
    const own = frame;
    frame += betweenOf(shot, index, limits) + 1;
    return own;
  });
}

/** Return how many drawings the result has. */
export function countOf(shot, limits) {
  if (!shot.keys.length) return 0;
  const last = shot.keys.length - 1;
  const upToLast = framesOf(shot, limits)[last] + 1;
  return upToLast + (shot.options.loop ? optionOf(shot, 'frames_between', limits) : 0);
}

/**
 * Return where drawings lie in the motion between two keys, as fractions in (0, 1).
 *
 * The curves are those of docs/contract.md; the service computes its own.
 */
export function positions(spacing, count) {
  const curves = {
    ease_in: (u) => u * u,
    ease_out: (u) => 1 - (1 - u) ** 2,
    ease_in_out: (u) => u * u * (3 - 2 * u),
  };
  const curve = curves[spacing] ?? ((u) => u);
  return Array.from({length: count}, (_, number) => curve((number + 1) / (count + 1)));
}

const withKeys = (shot, keys) => ({...shot, keys});

export const addKeys = (shot, added, at = shot.keys.length) =>
  withKeys(shot, [...shot.keys.slice(0, at), ...added, ...shot.keys.slice(at)]);

export const removeKey = (shot, index) =>
  withKeys(shot, shot.keys.filter((_, number) => number !== index));

export const changeKey = (shot, index, change) =>
  withKeys(shot, shot.keys.map((key, number) => (number === index ? {...key, ...change} : key)));

/** Move a key; what lies between keys stays where it is, only the drawings change places. */
export function moveKey(shot, from, to) {
  const target = Math.max(0, Math.min(shot.keys.length - 1, to));
  const drawings = shot.keys.map(({id, name, file, url, width, height, hold, error}) => ({
    id, name, file, url, width, height, hold, error,
  }));
  drawings.splice(target, 0, ...drawings.splice(from, 1));
  return withKeys(shot, shot.keys.map((key, number) => ({...key, ...drawings[number]})));
}

/** Make a drawing of the result a key of its own, where it lies; its segment falls in two. */
export function insertDrawing(shot, frame, key, limits) {
  const frames = framesOf(shot, limits);
  const before = frames.findLastIndex((own) => own <= frame);
  if (frames[before] === frame) return changeKey(shot, before, {file: key.file, url: key.url});
  const offset = frame - frames[before];
  const rest = betweenOf(shot, before, limits) - offset;
  const isLast = before === shot.keys.length - 1;
  const {spacing, prompt, sketches} = shot.keys[before];
  const split = changeKey(shot, before, {
    between: offset - 1,
    sketches: sketches.filter(({at}) => at < offset),
  });
  const later = sketches.filter(({at}) => at > offset)
    .map((one) => ({...one, at: one.at - offset}));
  const added = {...key, between: isLast ? null : rest, spacing, prompt, sketches: later};
  return addKeys(split, [added], before + 1);
}

export const setOption = (shot, name, value) => {
  const options = {...shot.options};
  if (value === null || value === undefined || value === '') delete options[name];
  else options[name] = value;
  return {...shot, options};
};

// of the diffusion model; the preview engine would only warn of them
const SAMPLED = ['prompt', 'negative_prompt', 'seed', 'steps', 'eta', 'guidance_scale',
  'guidance_rescale', 'frame_stride', 'sketch_scale', 'variants', 'model'];

const isKnown = (fields, [name, value]) => name in fields && value !== null && value !== '';

/** Return the request as JSON and the files that its parts name. */
export function requestOf(shot, limits) {
  const files = [];
  const part = (name, {file, name: fileName}) => {
    files.push({part: name, file, name: fileName});
    return {part: name};
  };
  const frames = framesOf(shot, limits);
  const ownFrames = 'frame' in limits.keyframe && shot.keys.some(({between}) => between !== null);
  const isLoop = Boolean(shot.options.loop);
  const isPreview = shot.options.quality === 'preview';
  const keyframes = shot.keys.map((key, index) => {
    const startsSegment = index < shot.keys.length - 1 || isLoop;
    const own = {
      frame: ownFrames ? frames[index] : null,
      hold: key.hold,
      ...(startsSegment && {spacing: key.spacing}),
      ...(startsSegment && !isPreview && {prompt: key.prompt}),
    };
    const kept = Object.entries(own).filter((entry) => isKnown(limits.keyframe, entry));
    return {image: part(`key${index + 1}`, key), ...Object.fromEntries(kept)};
  });
  const sketches = sketchesOf(shot, limits).map(({sketch, frame}, index) => ({
    image: part(`sketch${index + 1}`, sketch),
    frame,
  }));
  const options = Object.entries(shot.options).filter((entry) =>
    isKnown(limits.fields, entry) && !(isPreview && SAMPLED.includes(entry[0])));
  const request = {keyframes, ...(sketches.length && {sketches}), ...Object.fromEntries(options)};
  return {request, files};
}

/** Return the sketches that lie within their segments, with their drawings' indexes. */
export function sketchesOf(shot, limits) {
  if (!limits.fields.sketches || shot.options.quality === 'preview') return [];
  const frames = framesOf(shot, limits);
  const last = shot.options.loop ? shot.keys.length : shot.keys.length - 1;
  return shot.keys.slice(0, last).flatMap((key, index) =>
    key.sketches
      .filter(({at}) => at <= betweenOf(shot, index, limits))
      .map((sketch) => ({sketch, frame: frames[index] + sketch.at})),
  );
}

export function formOf(shot, limits) {
  const {request, files} = requestOf(shot, limits);
  const form = new FormData();
  form.append('request', new Blob([JSON.stringify(request)], {type: 'application/json'}));
  for (const {part, file, name} of files) form.append(part, file, name);
  return form;
}
