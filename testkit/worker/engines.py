"""Engines without a network, whose drawings tell what they were drawn from."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from core.errors import CancelRequested
from core.records.job import Stage
from worker.engines.engine import Reporter, SegmentFrames, SegmentWork
from worker.frames.framing import Pixels


@dataclass
class FadeEngine:
    """Fades from key to key.

    Attributes:
        draws_alpha: whether it takes and returns alpha.
        drift: added to every level, as a model shifts colours.
        works: what it was asked for.
    """

    draws_alpha: bool = False
    drift: int = 0
    device: str = "cpu"
    works: list[SegmentWork] = field(default_factory=list)

    def draw(self, work: SegmentWork, reporter: Reporter) -> SegmentFrames:
        self.works.append(work)
        for number in range(len(work.passes)):
            reporter.begin_pass(number)
            for stage in (Stage.ENCODING, Stage.DENOISING):
                reporter.begin(stage)
            for step in range(work.sampling.steps):
                reporter.step(step + 1, work.sampling.steps)
            reporter.begin(Stage.DECODING)
        shares = np.array([0.0, *map(float, work.positions), 1.0])[:, None, None, None]
        first, last = work.first.astype(float), work.last.astype(float)
        frames = np.clip(first * (1 - shares) + last * shares + self.drift, 0, 255)
        drawn: Pixels = np.rint(frames).astype(np.uint8)
        return SegmentFrames(drawn[1:-1], drawn[0], drawn[-1])

    def begin_job(self) -> None:
        """It holds no memory."""

    def peak_bytes(self) -> int:
        return 0


class Follower:
    """Remembers what an engine reports.

    Attributes:
        told: passes, stages and steps `(done, steps)`, in order.
        shown: pictures of what is being drawn.
        checks: how often the engine asked whether it may go on.
    """

    def __init__(self, end_at: tuple[int, int] | None = None) -> None:
        """End the work at the first check after the step `end_at`, if one is given."""
        self.told: list[object] = []
        self.shown: list[Pixels] = []
        self.checks = 0
        self._end_at = end_at

    def begin_segment(self, number: int) -> None:
        """Take any segment."""

    def reuse_segment(self) -> None:
        """Let a segment be reused."""

    def begin_pass(self, number: int) -> None:
        self.told.append(number)

    def begin(self, stage: Stage) -> None:
        self.told.append(stage)

    def step(self, done: int, steps: int) -> None:
        self.told.append((done, steps))

    def show(self, picture: Callable[[], Pixels]) -> None:
        self.shown.append(picture())

    def check(self) -> None:
        self.checks += 1
        if self._end_at is not None and self._end_at in self.told:
            raise CancelRequested
