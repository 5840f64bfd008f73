"""Sketches of any polarity as the model reads them: dark lines on white."""

import numpy as np

from worker.frames.framing import Pixels

MIDDLE = 128  # level; a paper that is darker is a board, and its lines are chalk
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def dark_on_white(sketch: Pixels) -> Pixels:
    """Turn a line drawing into dark lines on white.

    What is clear in a drawing with alpha is paper, and its lines count as strong as they cover.
    Else the paper is the level that most of the drawing has: a darker one is inverted, and a tinted
    one becomes white, so that a scan's gray is no line.

    Args:
        sketch: RGB or RGBA, `(height, width, 3 or 4)`.

    Returns:
        RGB of equal channels, of the same size.
    """
    if sketch.shape[-1] == 4:
        lines = sketch[..., 3].astype(np.float32)
    else:
        gray = sketch @ LUMA
        paper = float(np.median(gray))
        reach = 255 - paper if paper < MIDDLE else paper
        lines = np.abs(gray - paper) if paper < MIDDLE else np.clip(paper - gray, 0, None)
        lines = np.clip(lines * (255 / reach), 0, 255)
    white = np.rint(255 - lines).astype(np.uint8)
    return np.repeat(white[..., None], 3, axis=-1)
