"""Figures for one drawing against the true one."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.drawing import Picture

MOVING = 12  # of 255; a smaller change between keys and middle counts as still
AROUND = 5  # pixels around what moves; errors beside a moved line count as well
FAR = 20.0  # pixels; a line farther from any true line counts as this


@dataclass(frozen=True)
class Figures:
    """How far one drawing is from the true one.

    Attributes:
        psnr: in dB, of the whole picture.
        moving: mean absolute error in 0..255 of pixels that change between the keys.
        lines: symmetric mean distance between lines near what moves, in pixels.
    """

    psnr: float
    moving: float
    lines: float


def figures(drawing: Picture, truth: Picture, first: Picture, last: Picture) -> Figures:
    """Compare a drawing with the truth; keys tell what moves."""
    area = moving_area(truth, first, last)
    error = np.abs(drawing.astype(np.float32) - truth)
    psnr = -10 * np.log10((error**2).mean() / 255**2 + 1e-9)
    moving = float(error[area].mean()) if area.any() else 0.0
    return Figures(float(psnr), moving, line_distance(drawing, truth, area))


def moving_area(truth: Picture, first: Picture, last: Picture) -> NDArray[np.bool_]:
    """Mark what changes between the keys or on the way, and its surroundings."""
    pairs = ((first, last), (first, truth), (last, truth))
    change = np.max([cv2.absdiff(a, b).max(axis=2) for a, b in pairs], axis=0)
    kernel = np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8)
    return cv2.dilate((change > MOVING).astype(np.uint8), kernel).astype(bool)


def line_distance(drawing: Picture, truth: Picture, area: NDArray[np.bool_]) -> float:
    """Average the distance from each line to the other picture's nearest, both ways, in pixels."""
    edges = [_edges(picture) for picture in (drawing, truth)]
    distances = []
    for own, other in (edges, edges[::-1]):
        near = own & area
        if not near.any():
            continue
        if not other.any():
            distances.append(FAR)
            continue
        to_nearest = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, 5)
        distances.append(float(np.minimum(to_nearest[near], FAR).mean()))
    return float(np.mean(distances)) if distances else 0.0


def motion_share(first: Picture, last: Picture, flow: NDArray[np.float32]) -> float:
    """Return how far things move, as a share of the width: the 95th percentile of what moves."""
    changed = cv2.absdiff(first, last).max(axis=2) > MOVING
    if not changed.any():
        return 0.0
    distance = float(np.percentile(np.hypot(*flow[changed].T), 95))
    return distance / int(first.shape[1])


def _edges(picture: Picture) -> NDArray[np.bool_]:
    return cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 60, 120) > 0
