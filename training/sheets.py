"""Contact sheets: rows of pictures in one PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GAP = 4  # white pixels between pictures


def to_pictures(frames: Tensor) -> NDArray[np.uint8]:
    """Convert `(n, 3, height, width)` in [-1, 1] to uint8 `(n, height, width, 3)`."""
    scaled = (frames.detach().float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def contact_sheet(
    rows: Sequence[Sequence[NDArray[np.uint8]] | NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Put pictures of one size in rows: uint8 `(height, width, 3)`."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    sheet = np.full(shape, 255, np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + GAP), x * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write RGB as PNG.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1])):
        raise OSError(f"{path} could not be written")
