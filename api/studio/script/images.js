// Turns dropped, pasted and picked files into drawings of the shot.

const LONGEST_THUMBNAIL = 320; // pixels

let count = 0;

/** Return an id that is unique in this page. */
export const newId = () => `d${Date.now().toString(36)}${(count += 1)}`;

/** Return the image files of a drop or paste, in the order of their names where they have some. */
export function filesOf(transfer) {
  const files = [...(transfer?.files ?? [])];
  return inOrder(files);
}

export function inOrder(files) {
  const byName = new Intl.Collator(undefined, {numeric: true});
  return [...files].sort((a, b) => byName.compare(a.name, b.name));
}

/**
 * Return a key of the shot made of a file.
 *
 * A file that the browser cannot show may still be one that the service reads (TIFF), so nothing
 * is refused here.
 */
export async function keyOf(file) {
  const size = await sizeOf(file);
  return {
    id: newId(),
    name: file.name || 'drawing.png',
    file,
    url: URL.createObjectURL(file),
    width: size?.width ?? null,
    height: size?.height ?? null,
    between: null, // drawings up to the next key; null for the shot's own number
    spacing: null,
    hold: null,
    prompt: '',
    sketches: [],
    error: '',
  };
}

async function sizeOf(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const {width, height} = bitmap;
    bitmap.close();
    return {width, height};
  } catch {
    return null;
  }
}

/** Return a small PNG of an image or video element as a blob, or null. */
export async function thumbnailOf(source, width, height) {
  try {
    const scale = Math.min(1, LONGEST_THUMBNAIL / Math.max(width, height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext('2d').drawImage(source, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, 'image/webp', 0.8));
  } catch {
    return null; // the picture is of another origin
  }
}
