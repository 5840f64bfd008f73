"""A segment's colours held to both of its keys."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.frames.colour_spaces import Colours, Pixels, from_oklab, to_oklab

SMALL = 160  # pixels of the long side on which colours are compared
ROUNDS = 12  # of re-weighting
STRICT = 0.006  # OKLab; at the end, pixels that differ by much more than this are thought to move
LOOSE = 0.12  # OKLab; at the start, so that a strong drift is not taken for motion
TRUST = 2e-4  # weight of "no change" beside the samples, whose variances are about 0.01
UNSEEN = 0.0025  # OKLab, about 0.3 in CIEDE2000: a mean correction below this is left out


def match_colours(
    frames: Pixels, first: Pixels, last: Pixels, positions: Sequence[float] | None = None
) -> Pixels:
    """Remove a segment's drift of colours against its keys, ramped from the first to the last.

    Statistics of whole pictures change when something moves in, so colours are compared pixel by
    pixel between neighbouring frames, which show nearly the same: a map of colours is fitted to
    most of the pixels, and those that move are left out. One chain of maps starts at the first
    key, another one at the last; a frame gets their mean, weighted by its position.

    Args:
        frames: all of the model's frames of one segment, in order: RGB, `(frames, height, width,
            3)`.
        first: the segment's first key as the model saw it, `(height, width, 3)`.
        last: its last key.
        positions: of the frames between the keys, 0 to 1; left out: even, from key to key.

    Returns:
        Frames of the same shape; the same bits where nothing had to be done.
    """
    if positions is None:
        positions = np.linspace(0, 1, len(frames)).tolist()
    small = [_shrink(frame) for frame in frames]
    forward = _chain(small, _shrink(first))
    backward = _chain(small[::-1], _shrink(last))[::-1]
    matched = frames.copy()
    for index, position in enumerate(positions):
        ramped = (1 - position) * forward[index] + position * backward[index]
        change = _apply(ramped, small[index]) - small[index]
        if np.linalg.norm(change, axis=-1).mean() > UNSEEN:
            matched[index] = from_oklab(_apply(ramped, to_oklab(frames[index])))
    return matched


def _shrink(picture: Pixels) -> Colours:
    scale = SMALL / max(picture.shape[:2])
    if scale < 1:
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    return to_oklab(picture)


def _chain(frames: Sequence[Colours], key: Colours) -> list[NDArray[np.float32]]:
    """Fit each frame's map to the frame before, as it is after its own map."""
    maps, before = [], key
    for frame in frames:
        maps.append(_fit(frame.reshape(-1, 3), before.reshape(-1, 3)))
        before = _apply(maps[-1], frame)
    return maps


def _features(colours: Colours) -> NDArray[np.float32]:
    """What a map is linear in: 1, L, a, b, L squared, about the middle gray."""
    centred = colours - np.array([0.6, 0, 0], np.float32)
    one = np.ones_like(centred[..., :1])
    return np.concatenate([one, centred, centred[..., :1] ** 2], -1)


def _apply(change: NDArray[np.float32], colours: Colours) -> Colours:
    """Add the change that a map, `(5, 3)`, makes to colours `(..., 3)`."""
    return colours + _features(colours) @ change


def _fit(colours: Colours, wanted: Colours) -> NDArray[np.float32]:
    """Fit the change that makes most colours the wanted ones, by re-weighted least squares.

    Geman and McClure's weights; their scale shrinks in each round, from all pixels to those that
    the map explains.
    """
    # samples in rows and scales as Python's floats: four times as quick as columns and float64
    features, difference = _features(colours).T.copy(), (wanted - colours).T.copy()
    penalty = np.diag(TRUST * len(colours) * np.array([0.01, 1, 1, 1, 1])).astype(np.float32)
    change = np.zeros((len(features), 3), np.float32)
    for scale in np.geomspace(LOOSE, STRICT, ROUNDS).tolist():
        residual = difference - change.T @ features
        weights = (scale**2 / (scale**2 + (residual**2).sum(0))) ** 2
        weighted = features * weights
        change = np.linalg.solve(weighted @ features.T + penalty, weighted @ difference.T)
    return change.astype(np.float32)
