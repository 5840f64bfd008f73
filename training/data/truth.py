"""The true motion of every pixel, from the pieces of a drawing and of its keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.drawing import FRACTION_BITS, Piece, _fixed
from training.data.geometry import affine_between, bend_between


@dataclass
class Truth:
    """Where each pixel of a drawing is in another one.

    Attributes:
        flow: float32 `(2, height, width)`, x and y in pixels.
        visible: bool `(height, width)`, whether it can be seen there.
    """

    flow: NDArray[np.float32]
    visible: NDArray[np.bool_]


def identities(pieces: Sequence[Piece], height: int, width: int) -> NDArray[np.int32]:
    """Label each pixel with the segment that covers it: int32 `(height, width)`.

    An area with its outline is one segment; a stroke has one for each two points. 0 is no piece.
    """
    labels = np.zeros((height, width), np.int32)
    first = 1
    for piece in pieces:
        fixed = _fixed(piece.points)
        if piece.texture is not None:
            labels[:] = first
        elif piece.width > 0:
            _label_stroke(labels, piece, first)
        else:
            cv2.fillPoly(labels, [fixed], first, cv2.LINE_8, FRACTION_BITS)
            if piece.line > 0:
                thickness = max(1, round(piece.line))
                cv2.polylines(labels, [fixed], True, first, thickness, cv2.LINE_8, FRACTION_BITS)
        first += _segments(piece)
    return labels


def motion(
    here: Sequence[Piece],
    there: Sequence[Piece],
    labels_here: NDArray[np.int32],
    labels_there: NDArray[np.int32],
) -> Truth:
    """Follow each pixel of one drawing to another with the same list of pieces."""
    maps, parts = _maps(here, there)
    height, width = labels_here.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    matrix = maps[labels_here]  # h w 2 3
    there_x = matrix[..., 0, 0] * x + matrix[..., 0, 1] * y + matrix[..., 0, 2]
    there_y = matrix[..., 1, 0] * x + matrix[..., 1, 1] * y + matrix[..., 1, 2]
    column = np.round(there_x).astype(np.int64)
    row = np.round(there_y).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = labels_there[row.clip(0, height - 1), column.clip(0, width - 1)]
    visible = inside & (parts[seen] == parts[labels_here])
    return Truth(np.stack([there_x - x, there_y - y]).astype(np.float32), visible)


def _maps(
    here: Sequence[Piece], there: Sequence[Piece]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Map and piece of each segment; segment 0 stays in place."""
    maps = [np.array([[[1.0, 0, 0], [0, 1, 0]]])]
    parts = [np.array([0])]
    areas = [index for index, piece in enumerate(here) if piece.width == 0]
    fitted = affine_between([here[i].points for i in areas], [there[i].points for i in areas])
    area_maps = dict(zip(areas, fitted, strict=True))
    for index, (piece, other) in enumerate(zip(here, there, strict=True)):
        if index in area_maps:
            maps.append(area_maps[index][None])
        elif len(piece.points) == 1:
            offset = (other.points - piece.points)[0]
            maps.append(np.array([[[1.0, 0, offset[0]], [0, 1, offset[1]]]]))
        else:
            maps.append(bend_between(piece.points, other.points, piece.width))
        parts.append(np.full(_segments(piece), index + 1))
    return np.concatenate(maps).astype(np.float32), np.concatenate(parts)


def _segments(piece: Piece) -> int:
    return 1 if piece.width == 0 else max(1, len(piece.points) - 1)


def _label_stroke(labels: NDArray[np.int32], piece: Piece, first: int) -> None:
    """Label a stroke's pixels by their nearest segment."""
    height, width = labels.shape
    margin = piece.width / 2 + 2
    low = np.floor(piece.points.min(0) - margin).clip(0, (width, height)).astype(int)
    high = np.ceil(piece.points.max(0) + margin).clip(0, (width, height)).astype(int)
    if (high <= low).any():
        return
    box = labels[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(box.shape, np.uint8)
    points = piece.points - low
    fixed = _fixed(points)
    if len(points) == 1:
        centre = (int(fixed[0, 0, 0]), int(fixed[0, 0, 1]))
        radius = int(piece.width / 2 * (1 << FRACTION_BITS))
        cv2.circle(mask, centre, radius, 1, -1, cv2.LINE_8, FRACTION_BITS)
    else:
        thickness = max(1, round(piece.width))
        cv2.polylines(mask, [fixed], False, 1, thickness, cv2.LINE_8, FRACTION_BITS)
    y, x = np.nonzero(mask)
    if len(points) <= 2:
        box[y, x] = first
        return
    middles = (points[1:] + points[:-1]) / 2
    distance = (x[:, None] - middles[:, 0]) ** 2 + (y[:, None] - middles[:, 1]) ** 2
    box[y, x] = first + distance.argmin(1)
