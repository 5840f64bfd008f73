"""Measure the quality of a finished shot; `docs/quality.md` explains the numbers."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.records.job import QualityReport
from worker.frames.colour_spaces import Pixels, ciede2000, to_cielab, to_oklab

REPEATED = 0.25  # levels of 255; two drawings whose mean difference is below are one drawing
STEP = 4  # compares every fourth pixel in both directions


def measure_quality(
    drawings: Pixels,
    keys: Sequence[tuple[Pixels, Pixels]],
    segments: Sequence[tuple[Pixels, Pixels, Pixels]],
) -> QualityReport:
    """Measure one variant of a shot, as if it were the first.

    Args:
        drawings: the result without alpha, `(drawings, height, width, 3)`.
        keys: each key as the model saw it, and the model's own drawing of it.
        segments: the model's frames, the first key and the last key of each, after colour matching.
    """
    thin = np.stack([to_oklab(drawing[::STEP, ::STEP]) for drawing in drawings])
    return QualityReport(
        variant=1,
        key_psnr_db=[key_psnr(key, drawn) for key, drawn in keys],
        color_drift=[color_drift(*segment) for segment in segments],
        flicker=flicker(thin),
        repeated_drawings=repeated_drawings(drawings),
        largest_jump=largest_jump(thin),
    )


def key_psnr(key: Pixels, drawn: Pixels) -> float | None:
    """Compute `10 log10(255² / mean((key - drawn)²))` over pixels and channels of sRGB.

    None where no pixel differs.
    """
    error = float(np.mean((key.astype(np.float32) - drawn) ** 2))
    return round(10 * np.log10(255**2 / error), 2) if error else None


def color_drift(frames: Pixels, first: Pixels, last: Pixels) -> float:
    """Compute the mean CIEDE2000 by which the end frames' colours miss their keys.

    Both ends of a segment show the drawing of a key, so they can be compared pixel by pixel:
    `(median ΔE00(frames[0], first) + median ΔE00(frames[-1], last)) / 2`. The median over pixels
    leaves out lines that are a pixel aside.
    """
    ends = ((frames[0], first), (frames[-1], last))
    medians = [
        np.median(ciede2000(to_cielab(drawn[::STEP, ::STEP]), to_cielab(key[::STEP, ::STEP])))
        for drawn, key in ends
    ]
    return round(float(np.mean(medians)), 3)


def flicker(drawings: NDArray[np.float32]) -> float:
    """Compute how much brightness goes up and down again, in OKLab's L.

    A pixel swings by `min(|L[i] - L[i-1]|, |L[i] - L[i+1]|)` where both differences have one sign,
    else by 0. Of each inner drawing the median over pixels is taken, which leaves out lines that
    move through, and of these the mean. A steady change is no flicker; a drawing that is lighter or
    darker than both of its neighbours is.
    """
    if len(drawings) < 3:
        return 0.0
    light = drawings[..., 0]
    before, after = light[1:-1] - light[:-2], light[1:-1] - light[2:]
    swing = np.where(before * after > 0, np.minimum(np.abs(before), np.abs(after)), 0)
    return round(float(np.median(swing.reshape(len(swing), -1), axis=1).mean()), 5)


def repeated_drawings(drawings: Pixels) -> int:
    """Count drawings whose mean difference from the one before is below `REPEATED` levels."""
    return sum(
        float(np.abs(b.astype(np.int16) - a).mean()) < REPEATED for a, b in pairwise(drawings)
    )


def largest_jump(drawings: NDArray[np.float32]) -> float:
    """Compute the largest mean distance in OKLab between two neighbouring drawings."""
    jumps = [float(np.linalg.norm(b - a, axis=-1).mean()) for a, b in pairwise(drawings)]
    return round(max(jumps, default=0.0), 5)
