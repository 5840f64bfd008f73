"""Model passes: which run of the model draws each drawing of a segment, and as which frame.

The model draws `NUM_FRAMES` frames at once: frame 0 and the last are the keys it was given. A
wanted position takes the nearest frame between them. Where several drawings would take the same
frame, the span between its two neighbours is run as a pass of its own, to any depth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

NUM_FRAMES = 16  # frames of one run, both keys included: the length of the training clips
LAST_FRAME = NUM_FRAMES - 1


@dataclass(frozen=True)
class ModelPass:
    """One run of the model over a span of a segment.

    Attributes:
        parent: number of the pass that drew the keys of this one, None for the segment's own keys.
        parent_frames: the two frames of the parent that are the keys here, `(0, 15)` without one.
        frames: model frame by the number of the drawing in its segment, the first drawing is 0.
    """

    parent: int | None
    parent_frames: tuple[int, int]
    frames: dict[int, int]


def plan_passes(positions: Sequence[Fraction]) -> list[ModelPass]:
    """Return the passes that draw a segment, each after the one that draws its keys.

    Args:
        positions: where the drawings lie in the motion; growing, in (0, 1).

    Returns:
        No pass where there is no drawing, else the segment's own pass first. Every drawing belongs
        to exactly one pass, and no two to the same frame of one.
    """
    passes: list[ModelPass] = []
    if positions:
        # Whole numbers over one denominator: arithmetic of `Fraction` takes ten times as long.
        unit = math.lcm(*(position.denominator for position in positions))
        wanted = {
            drawing: position.numerator * (unit // position.denominator)
            for drawing, position in enumerate(positions)
        }
        _plan(wanted, unit, None, (0, LAST_FRAME), passes)
    return passes


def _plan(
    wanted: dict[int, int],
    unit: int,
    parent: int | None,
    parent_frames: tuple[int, int],
    passes: list[ModelPass],
) -> None:
    """Append the pass over one span, and below it the passes of frames with several drawings.

    Args:
        wanted: position in the span by drawing, 0 to `unit`.
        unit: the length of the span.
        parent: as in `ModelPass`.
        parent_frames: as in `ModelPass`.
        passes: all so far.
    """
    by_frame: dict[int, dict[int, int]] = {}
    for drawing, position in wanted.items():
        by_frame.setdefault(nearest_frame(position, unit), {})[drawing] = position
    alone = {
        next(iter(drawings)): frame for frame, drawings in by_frame.items() if len(drawings) == 1
    }
    number = len(passes)
    passes.append(ModelPass(parent, parent_frames, alone))
    for frame, drawings in by_frame.items():
        if len(drawings) > 1:
            start = (frame - 1) * unit  # in fifteenths of the old unit, as the inner positions
            inner = {
                drawing: LAST_FRAME * position - start for drawing, position in drawings.items()
            }
            _plan(inner, 2 * unit, number, (frame - 1, frame + 1), passes)


def nearest_frame(position: int, unit: int) -> int:
    """Return the frame nearest to a position in (0, unit), never a key's; ties go down."""
    frame = -((unit - 2 * LAST_FRAME * position) // (2 * unit))
    return min(max(frame, 1), LAST_FRAME - 1)
