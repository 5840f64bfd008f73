"""Engines without a network, whose drawings tell what they were drawn from."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

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


class SilentReporter:
    """Lets everything go on."""

    def __init__(self) -> None:
        self.segments: list[int] = []
        self.reused = 0

    def begin_segment(self, number: int) -> None:
        self.segments.append(number)

    def reuse_segment(self) -> None:
        self.reused += 1

    def begin_pass(self, number: int) -> None:
        pass

    def begin(self, stage: Stage) -> None:
        pass

    def step(self, done: int, steps: int) -> None:
        pass

    def show(self, picture: Callable[[], Pixels]) -> None:
        pass

    def check(self) -> None:
        pass
