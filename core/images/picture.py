"""Hold a decoded picture before its colours are converted, and limit its size."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.images.errors import ImageOutOfRange, UnreadableImage

Levels = NDArray[np.unsignedinteger[Any]]  # 8 or 16 bits

MAX_ASPECT = 8  # long side to short side: the short one is scaled to the canvas, the long one grows
MAX_SIDE = 16_384  # pixels; WebP's own limit, and four times the widest drawing of a feature film

BAND = 64  # rows that are converted at one time, which keeps what lies in between small


@dataclass(frozen=True)
class Picture:
    """Samples as the file has them, spread over the full range of 8 or 16 bits.

    `levels` are `(height, width, channels)`: 1 channel is gray, 3 are RGB, 4 are CMYK with 0 for
    no ink. `alpha` is `(height, width)` of the same type, not premultiplied.
    """

    levels: Levels
    alpha: Levels | None = None
    profile: bytes | None = None  # ICC profile that the levels refer to; None is sRGB
    orientation: int = 1  # as EXIF counts; 1 is upright


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Compare the size in a file's header with the limits, before anything is decoded.

    Raises:
        ImageOutOfRange: too large, or too long for its width.
        UnreadableImage: there is no pixel.
    """
    if width > MAX_SIDE or height > MAX_SIDE:
        raise ImageOutOfRange(
            f"must be at most {MAX_SIDE} pixels wide and high; got {width}x{height}"
        )
    long, short = max(width, height), min(width, height)
    if not short:
        raise UnreadableImage("cannot be decoded, its width or height is 0")
    if long > MAX_ASPECT * short:
        raise ImageOutOfRange(
            f"must have an aspect ratio of at most {MAX_ASPECT}:1; got {long / short:.5g}:1"
        )
    if width * height > max_pixels:
        raise ImageOutOfRange(
            f"must have at most {max_pixels} pixels; got {width * height} ({width}x{height})"
        )


def spread(samples: NDArray[Any], bits: int) -> Levels:
    """Scale samples of 1 to 16 bits to the full range of 8 or, above 8, of 16 bits."""
    most = 2**bits - 1
    if bits in (8, 16):
        return samples.astype(np.uint8 if bits == 8 else np.uint16, copy=False)
    full, kind = (255, np.uint8) if bits < 8 else (65_535, np.uint16)
    table = (np.arange(most + 1, dtype=np.uint32) * full + most // 2) // most
    return looked_up(table.astype(kind), samples.astype(np.uint16, copy=False))


def eight_bits(levels: Levels) -> NDArray[np.uint8]:
    """Round 16-bit levels to 8 bits; 8-bit ones stay as they are."""
    if levels.dtype == np.uint8:
        return levels.astype(np.uint8, copy=False)
    return looked_up(np.round(np.arange(2**16) / 257).astype(np.uint8), levels)


def looked_up(table: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    """`table[indices]`, a few rows at a time: numpy makes 8 bytes of each index."""
    found = np.empty((*indices.shape, *table.shape[1:]), table.dtype)
    for top in range(0, len(indices), BAND):
        found[top : top + BAND] = table[indices[top : top + BAND]]
    return found
