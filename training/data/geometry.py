"""Points of drawings: curves, outlines, placement, and the motion between two poses."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]  # (n, 2): x to the right, y down, in units of a 512x320 stage

TURN_STEPS = np.linspace(0, math.tau, 29)[:-1]


def ellipse(centre: ArrayLike, half_width: float, half_height: float) -> Points:
    """Outline an ellipse with 28 points."""
    radii = np.array([half_width, half_height])
    outline: Points = centre + radii * np.stack([np.cos(TURN_STEPS), np.sin(TURN_STEPS)], axis=1)
    return outline


def curve(points: ArrayLike, closed: bool = False, steps: int = 6) -> Points:
    """Run a Catmull-Rom spline through points."""
    p = np.asarray(points, np.float64)
    ring = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (ring[i : len(ring) - 3 + i, None] for i in range(4))
    square = 2 * a - 5 * b + 4 * c - d
    cube = 3 * b - a - 3 * c + d
    path = (0.5 * (2 * b + (c - a) * t + square * t**2 + cube * t**3)).reshape(-1, 2)
    return path if closed else np.concatenate([path, p[-1:]])


def placed(points: ArrayLike, position: ArrayLike, angle: float = 0.0, scale: float = 1) -> Points:
    """Scale and turn points around (0, 0), then move them to `position`; angle in radians."""
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    turned: Points = np.asarray(points, np.float64) @ np.array([[cos, sin], [-sin, cos]])
    return turned + np.asarray(position, np.float64)


def direction(angle: float, length: float = 1.0) -> Points:
    """Return the vector `(2,)` of a length that points along an angle."""
    return np.array([math.cos(angle), math.sin(angle)]) * length


def mix(a: ArrayLike, b: ArrayLike, share: float) -> NDArray[np.float64]:
    """Interpolate: `a` at 0, `b` at 1."""
    a = np.asarray(a, np.float64)
    return a + (np.asarray(b, np.float64) - a) * share


def affine_between(sources: Sequence[Points], targets: Sequence[Points]) -> NDArray[np.float64]:
    """Fit for each pair of outlines the affine map from source to target: `(n, 2, 3)`.

    Nearly flat outlines are regularised towards a translation.
    """
    source_centres = np.array([points.mean(0) for points in sources])
    target_centres = np.array([points.mean(0) for points in targets])
    spread = np.empty((len(sources), 2, 2))
    cross = np.empty((len(sources), 2, 2))
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        centred = source - source_centres[index]
        spread[index] = centred.T @ centred
        cross[index] = (target - target_centres[index]).T @ centred
    ridge = (1e-3 * np.trace(spread, axis1=1, axis2=2) + 1e-6)[:, None, None] * np.eye(2)
    linear = (cross + ridge) @ np.linalg.inv(spread + ridge)
    return _with_offset(linear, source_centres, target_centres)


def bend_between(source: Points, target: Points, width: float) -> NDArray[np.float64]:
    """Return for each segment of a thick stroke the map to the other one: `(n - 1, 2, 3)`.

    A segment turns and stretches along its path and keeps its width. Directions are averaged over
    about `width`, as the outline of a thick stroke does not follow its path's small turns.
    """
    start, end = _smoothed_steps(source, width), _smoothed_steps(target, width)
    start_length = np.hypot(*start.T).clip(1e-6)
    end_length = np.hypot(*end.T).clip(1e-6)
    start_axes = _axes(start / start_length[:, None])
    end_axes = _axes(end / end_length[:, None])
    stretch = np.stack([end_length / start_length, np.ones(len(start))], axis=1).clip(0.2, 5)
    linear = (end_axes * stretch[:, None]) @ start_axes.transpose(0, 2, 1)
    return _with_offset(linear, (source[1:] + source[:-1]) / 2, (target[1:] + target[:-1]) / 2)


def _smoothed_steps(path: Points, width: float) -> Points:
    steps = np.diff(path, axis=0)
    mean_length = np.hypot(*steps.T).mean() + 1e-6
    half = min(len(steps) - 1, int(width / mean_length / 2))
    last = len(steps)
    return np.array([path[min(last, i + 1 + half)] - path[max(0, i - half)] for i in range(last)])


def _axes(directions: Points) -> NDArray[np.float64]:
    """Return `(n, 2, 2)`, columns along and across each direction."""
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1)
    return np.stack([directions, across], axis=2)


def _with_offset(linear: Points, sources: Points, targets: Points) -> NDArray[np.float64]:
    offset = targets - np.einsum("nij,nj->ni", linear, sources)
    return np.concatenate([linear, offset[:, :, None]], axis=2)
