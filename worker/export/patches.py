"""What changes from drawing to drawing, and at which clock tick."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.export.film import Film, Pixels


@dataclass(frozen=True)
class Patch:
    """The part of a picture that is written again.

    Attributes:
        left, top: its place in the picture, in pixels.
        pixels: `(height, width)`, or with channels behind them.
    """

    left: int
    top: int
    pixels: Pixels


def patches(drawings: Iterator[Pixels], align: int = 1) -> Iterator[Patch]:
    """Yield the first drawing whole, then the box in which each differs from the one before.

    A drawing equal to the one before is a patch of `align` pixels square, so that it keeps its
    place in the file.

    Args:
        drawings: `(height, width)` or `(height, width, channels)` each, all of one size.
        align: left and top are multiples of it.
    """
    previous: Pixels | None = None
    for drawing in drawings:
        if previous is None:
            yield Patch(0, 0, drawing)
        else:
            changed = drawing != previous
            yield cut_to(drawing, changed.any(-1) if changed.ndim == 3 else changed, align)
        previous = drawing


def cut_to(picture: Pixels, wanted: NDArray[np.bool_], align: int = 1) -> Patch:
    """Cut the box around the wanted pixels, `(height, width)`, out of a picture."""
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    if not rows.size:
        return Patch(0, 0, picture[:align, :align])
    top, left = rows[0] // align * align, columns[0] // align * align
    return Patch(int(left), int(top), picture[top : rows[-1] + 1, left : columns[-1] + 1])


def ticks(film: Film, per_second: int) -> list[int]:
    """Round the time at which each drawing appears, and the film's end, to a format's clock.

    Times are rounded, not lengths, so no error adds up: the film's length errs by half a tick at
    most.
    """
    return [round(start / film.rate * per_second) for start in film.starts]
