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
        first: position in the segment of this pass's frame 0, 0 to 1.
        last: position in the segment of this pass's last frame.
        frames: model frame by the number of the drawing in its segment, the first drawing is 0.
    """

    parent: int | None
    parent_frames: tuple[int, int]
    first: Fraction
    last: Fraction
    frames: dict[int, int]

    def position_of(self, frame: int) -> Fraction:
        """Return where a model frame of this pass lies in the segment, 0 to 1."""
        return self.first + (self.last - self.first) * Fraction(frame, LAST_FRAME)


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
        _plan(dict(enumerate(positions)), None, (0, LAST_FRAME), Fraction(0), Fraction(1), passes)
    return passes


def _plan(
    wanted: dict[int, Fraction],
    parent: int | None,
    parent_frames: tuple[int, int],
    first: Fraction,
    last: Fraction,
    passes: list[ModelPass],
) -> None:
    """Append the pass over one span, and below it the passes of frames with several drawings."""
    by_frame: dict[int, dict[int, Fraction]] = {}
    for drawing, position in wanted.items():
        frame = nearest_frame((position - first) / (last - first))
        by_frame.setdefault(frame, {})[drawing] = position
    alone = {
        next(iter(drawings)): frame for frame, drawings in by_frame.items() if len(drawings) == 1
    }
    number, here = len(passes), ModelPass(parent, parent_frames, first, last, alone)
    passes.append(here)
    for frame, drawings in by_frame.items():
        if len(drawings) > 1:
            span = frame - 1, frame + 1
            _plan(
                drawings, number, span, here.position_of(span[0]), here.position_of(span[1]), passes
            )


def nearest_frame(position: Fraction) -> int:
    """Return the frame nearest to a position in (0, 1), never a key's; ties go down."""
    frame = math.ceil(position * LAST_FRAME - Fraction(1, 2))
    return min(max(frame, 1), LAST_FRAME - 1)
