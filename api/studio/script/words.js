// What the page calls the fields of the contract, and how it writes numbers.

export const LABELS = {
  prompt: 'What happens in the shot',
  negative_prompt: 'What should not be seen',
  frames_between: 'Drawings between keys',
  spacing: 'Spacing',
  fps: 'Frames per second',
  exposure: 'Each drawing is held',
  loop: 'Loop back to the first key',
  interpolate: 'Smoothing',
  seed: 'Seed',
  steps: 'Steps',
  variants: 'Takes',
  frame_stride: 'Motion',
  guidance_scale: 'Guidance',
  guidance_rescale: 'Guidance rescale',
  eta: 'Fresh noise (eta)',
  sketch_scale: 'Sketch strength',
  model: 'Model',
  fit: 'Keys of another shape',
  output_size: 'Size of the result',
  background: 'Paper colour',
  preserve_keyframes: 'Keep my keys untouched',
  color_match: 'Hold colours to the keys',
  reuse: 'Reuse drawings of earlier jobs',
  priority: 'Queue',
  hold: 'Held for',
};

export const HINTS = {
  frame_stride: 'Smaller means larger motion.',
  seed: 'The same seed repeats a result.',
  steps: 'More detail, more time.',
  guidance_scale: 'How closely prompt and keys are followed.',
  variants: 'Results with neighbouring seeds, in one go.',
};

export const CHOICES = {
  even: 'Even',
  ease_in: 'Ease in',
  ease_out: 'Ease out',
  ease_in_out: 'Ease in and out',
  pad: 'Pad, then trim',
  crop: 'Crop',
  stretch: 'Stretch',
  canvas: 'As drawn',
  source: 'As the first key',
  'interpolate 1': 'None',
  'interpolate 2': 'Twice the rate',
  interactive: 'Next',
  batch: 'When it is quiet',
  mp4: 'MP4', webm: 'WebM', gif: 'GIF', apng: 'APNG', webp: 'WebP',
  png: 'PNG sequence', prores: 'ProRes 4444', contact_sheet: 'Contact sheet', xdts: 'XDTS sheet',
};

export const EXPOSURES = {1: 'Ones', 2: 'Twos', 3: 'Threes', 4: 'Fours'};

export const STAGES = {
  loading: 'Reading the keys',
  encoding: 'Studying the keys',
  denoising: 'Drawing',
  decoding: 'Inking',
  exporting: 'Making the files',
  uploading: 'Storing the files',
};

export const nameOf = (choice, field = '') =>
  CHOICES[`${field} ${choice}`] ?? CHOICES[choice] ?? String(choice).replaceAll('_', ' ');

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 1) return 'less than a second';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Return what the service says of a field or an error as a sentence for people. */
export function sentence(text) {
  const plain = text.replaceAll('`', '');
  return `${plain[0].toUpperCase()}${plain.slice(1)}${plain.endsWith('.') ? '' : '.'}`;
}

/** Return how much of its memory a worker of the fleet uses. */
export function memoryOf({memory}) {
  if (!memory) return 'not known';
  const used = size(memory.used_bytes);
  if (memory.kind === 'process') return `no GPU, ${used} in use`;
  return `GPU, ${used} of ${size(memory.total_bytes)}`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
