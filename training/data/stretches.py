"""Stretches of a studio's own clips, as lessons want them: distinct drawings in a row."""

from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from training.data.drawing import Picture
from training.data.studio import Shot, find_clips, read_frames, shots

HELD_OUT = 10  # every tenth clip validates and teaches nothing
KEPT_CLIPS = 8  # in memory


def random_stretch(
    root: Path,
    rng: np.random.Generator,
    length: int,
    height: int,
    width: int,
    *,
    held_out: bool = False,
) -> list[Picture]:
    """Choose a stretch of the clips below a folder.

    Args:
        root: folder of films and folders of frames.
        rng: decides which stretch.
        length: drawings in a row, without held ones.
        height: in pixels; clips of another shape lose their borders.
        width: in pixels.
        held_out: from a clip that validates.

    Raises:
        ValueError: fewer than two clips have that many drawings in one shot.
    """
    teaching, validating = usable_clips(root, length)
    clips = validating if held_out else teaching
    found = long_shots(clips[rng.integers(len(clips))], length)
    frames = found[rng.integers(len(found))].frames
    first = rng.integers(len(frames) - length + 1)
    return [_fitted(frame, height, width) for frame in frames[first : first + length]]


@cache
def usable_clips(root: Path, length: int) -> tuple[list[Path], list[Path]]:
    """List the clips that teach, and those that validate."""
    usable = [path for path in find_clips(root) if long_shots(path, length)]
    if len(usable) < 2:
        raise ValueError(
            f"{root} has to hold at least two clips with {length} distinct drawings in one shot; "
            f"it holds {len(usable)}"
        )
    return [path for n, path in enumerate(usable) if n % HELD_OUT], usable[::HELD_OUT]


@lru_cache(maxsize=KEPT_CLIPS)
def long_shots(path: Path, length: int) -> list[Shot]:
    """Read a clip's shots that have at least `length` distinct drawings."""
    return [shot for shot in shots(path.name, read_frames(path)) if len(shot.frames) >= length]


def _fitted(frame: Picture, height: int, width: int) -> Picture:
    """Cut the borders to the wanted shape, then scale."""
    scale = min(frame.shape[0] / height, frame.shape[1] / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (frame.shape[0] - rows) // 2, (frame.shape[1] - columns) // 2
    cut = frame[top : top + rows, left : left + columns]
    interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (width, height), interpolation=interpolation), np.uint8)
