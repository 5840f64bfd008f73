"""Drawings scaled to the size of the result, with crisp lines and no ringing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.shots.canvas import Size
from core.shots.fit import Placement, in_result
from worker.frames.framing import RESAMPLING, Pixels, cut_out, fill_around


def scale(picture: Pixels, size: Size) -> Pixels:
    """Scale a picture, `(height, width)` or with 3 or 4 channels; its own size changes no bit.

    Enlarging uses Lanczos's filter, held between the least and the greatest of the four source
    pixels around each place: against the truth of drawn clips, 512x288 to 1920x1080, this gains
    0.5 dB on bicubic and 1.4 dB on bilinear, and leaves half of Lanczos's bright seams beside
    lines (2026-11-28). Shrinking uses the filter that lays drawings on the canvas. RGBA is scaled
    premultiplied, so that transparent pixels lend their colour to no edge.
    """
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    image = Image.fromarray(picture)
    if image.mode == "RGBA":
        image = image.convert("RGBa")
    if size.width < width or size.height < height:
        scaled = image.resize(size, RESAMPLING)
    else:
        scaled = _enlarge(image, size)
    return np.asarray(scaled.convert("RGBA") if image.mode == "RGBa" else scaled)


def scale_all(frames: Pixels, size: Size) -> Pixels:
    """Scale frames, `(frames, height, width, …)`, one after the other into one array."""
    if frames.shape[1:3] == (size.height, size.width):
        return frames
    scaled = np.empty((len(frames), size.height, size.width, *frames.shape[3:]), np.uint8)
    for index, frame in enumerate(frames):
        scaled[index] = scale(frame, size)
    return scaled


def key_in_result(key: Pixels, placement: Placement, first: Placement, result: Size) -> Pixels:
    """Bring a source drawing to the result's size, framed as the model saw it.

    The key whose cropped part already has the result's size keeps every bit.
    """
    box = in_result(placement, first, result)
    part = cut_out(key[None], placement.source)[0]
    return fill_around(scale(part, box.size), box, result)


def keep_keyframes(drawings: Pixels, keys: dict[int, Pixels]) -> Pixels:
    """Put source drawings at their places in the result.

    Args:
        drawings: of the result, `(drawings, height, width, 3 or 4)`.
        keys: index in the result to the key, of the drawings' size; without alpha it is opaque.
    """
    kept = drawings.copy()
    for index, key in keys.items():
        channels = key.shape[-1]
        kept[index, ..., :channels] = key
        kept[index, ..., channels:] = 255
    return kept


def _enlarge(image: Image.Image, size: Size) -> Image.Image:
    source = np.asarray(image)
    smooth = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    rows, columns = _around(source.shape[0], size.height), _around(source.shape[1], size.width)
    corners = [source[row][:, column] for row in rows for column in columns]
    held = np.clip(smooth, np.minimum.reduce(corners), np.maximum.reduce(corners))
    return Image.frombytes(image.mode, size, held.tobytes())


def _around(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The two source pixels between which each target pixel's centre is, along one axis."""
    before = np.floor((np.arange(target) + 0.5) * source / target - 0.5).astype(np.intp)
    return before.clip(0, source - 1), (before + 1).clip(0, source - 1)
