"""Sketches: which pass and which model frame a sketch at a timeline index guides."""

from dataclasses import dataclass

from core.shots.passes import LAST_FRAME
from core.shots.timeline import Timeline

USUAL_SCALE = 0.6  # strength of sketches, where a request does not say it


@dataclass(frozen=True)
class Guide:
    """Where a sketch steers the model: a frame of a pass of a segment."""

    segment: int
    model_pass: int
    frame: int


def guides_of(timeline: Timeline, index: int) -> list[Guide]:
    """Return what a sketch at a drawing's index guides.

    A drawing between two keys is guided in the pass that draws it. A key is frame 0 of the segment
    that it starts and the last frame of the one that it ends; a segment without drawings has no
    pass to guide.

    Raises:
        ValueError: the shot has no such drawing.
    """
    if not 0 <= index < len(timeline.drawings):
        raise ValueError(
            f"`frame` of a sketch has to be 0 to {len(timeline.drawings) - 1} but is {index}"
        )
    drawing = timeline.drawings[index]
    if drawing.key is not None:
        starts = [
            Guide(s.number, 0, 0) for s in timeline.segments if s.first == drawing.key and s.passes
        ]
        ends = [
            Guide(s.number, 0, LAST_FRAME)
            for s in timeline.segments
            if s.last == drawing.key and s.passes
        ]
        return starts + ends
    segment = timeline.segments[drawing.segment - 1]
    number = index - segment.start - 1
    return [
        Guide(segment.number, order, model_pass.frames[number])
        for order, model_pass in enumerate(segment.passes)
        if number in model_pass.frames
    ]
