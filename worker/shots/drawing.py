"""Draw all segments of a shot, or recall those that were drawn before."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from core.shots.timeline import Segment
from worker.engines.engine import Engine, Reporter, SegmentFrames, SegmentWork
from worker.shots.preparation import PreparedShot

# Frames of each segment, in order; None for one without drawings, which no model ran.
DrawnVariant = list[SegmentFrames | None]


class ShotReporter(Reporter, Protocol):
    """Follows the work on all segments of all variants."""

    def begin_segment(self, number: int) -> None:
        """Note which segment begins; the first is 1, and variants count on."""

    def reuse_segment(self) -> None:
        """Note that this segment's frames were recalled."""


class SegmentMemory(Protocol):
    """Frames of segments that were drawn before."""

    def recall(self, work: SegmentWork) -> SegmentFrames | None:
        """Return the frames of just this work; None if there are none."""

    def keep(self, work: SegmentWork, frames: SegmentFrames) -> None:
        """Remember what was drawn."""


def draw_shot(
    shot: PreparedShot, engine: Engine, reporter: ShotReporter, memory: SegmentMemory | None = None
) -> Iterator[DrawnVariant]:
    """Yield the variants of a shot, one after the other; without a memory, each is drawn.

    Raises:
        Everything that the engine, the reporter and the memory raise; a note names the segment.
    """
    segments = shot.timeline.segments
    for variant in range(shot.request.variants):
        drawn: DrawnVariant = []
        for segment in segments:
            with _named(segment, variant, shot):
                reporter.begin_segment(variant * len(segments) + segment.number)
                drawn.append(_draw_segment(shot, segment, variant, engine, reporter, memory))
        yield drawn


def _draw_segment(
    shot: PreparedShot,
    segment: Segment,
    variant: int,
    engine: Engine,
    reporter: ShotReporter,
    memory: SegmentMemory | None,
) -> SegmentFrames | None:
    if not segment.passes:
        return None
    work = shot.work_of(segment, variant, with_alpha=shot.has_alpha and engine.draws_alpha)
    known = memory.recall(work) if memory else None
    if known is not None:
        reporter.reuse_segment()
        return known
    frames = engine.draw(work, reporter)
    if memory:
        memory.keep(work, frames)
    return frames


@contextmanager
def _named(segment: Segment, variant: int, shot: PreparedShot) -> Iterator[None]:
    """Let an error say in which segment of several it happened."""
    try:
        yield
    except Exception as error:
        words = []
        if shot.request.variants > 1:
            words.append(f"variant {variant + 1}")
        if len(shot.timeline.segments) > 1:
            words.append(f"segment {segment.number} of {len(shot.timeline.segments)}")
        if words:
            error.add_note(", ".join(words))
        raise
