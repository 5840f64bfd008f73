"""Drawings of any size onto the model's canvas, and the frames back to the drawings' aspect
ratio.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.shots.canvas import Box, Size, boxes_on_canvas

Pixels = NDArray[np.uint8]

# Sharper than bilinear, and half the ringing of Lanczos beside a line: 7 levels of 255 against 15
# where lines of 5 pixels on a flat ground of 1920x1080 become 512x288. Pillow widens the filter
# when it shrinks: no line is skipped.
RESAMPLING = Image.Resampling.BICUBIC


def lay_on_canvas(drawings: list[Pixels], canvas: Size) -> tuple[list[Pixels], Box]:
    """Scale each drawing once to its place on the canvas, and carry its edge pixels on to the
    canvas's border.

    Args:
        drawings: RGB, `(height, width, 3)`, each of its own size.
        canvas: what the model runs on.

    Returns:
        The drawings as `(canvas.height, canvas.width, 3)`, and the box that the first of them
        fills, which is the picture to be cut out of the frames.
    """
    boxes = boxes_on_canvas(
        [Size(drawing.shape[1], drawing.shape[0]) for drawing in drawings], canvas
    )
    return [
        _lay(drawing, box, canvas) for drawing, box in zip(drawings, boxes, strict=True)
    ], boxes[0]


def cut_out(frames: Pixels, box: Box) -> Pixels:
    """The box's part of frames `(frames, height, width, 3)`: what was added to fill the canvas is
    gone again.
    """
    return frames[:, box.top : box.top + box.height, box.left : box.left + box.width]


def _lay(drawing: Pixels, box: Box, canvas: Size) -> Pixels:
    scaled = np.asarray(Image.fromarray(drawing).resize(box.size, RESAMPLING))
    rows = (box.top, canvas.height - box.top - box.height)
    columns = (box.left, canvas.width - box.left - box.width)
    return np.pad(scaled, (rows, columns, (0, 0)), mode="edge")
