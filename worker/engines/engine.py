"""What every engine reads, returns and reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from core.records.job import Stage
from core.records.offer import Sampling as UsualSampling
from core.shots.canvas import Size
from core.shots.passes import ModelPass
from worker.frames.framing import Pixels


class Sampling(UsualSampling):
    """Settings of a diffusion model, as the request has them.

    Attributes:
        draft: a result near that of the usual number of steps, in fewer of them.
    """

    frame_stride: int
    sketch_scale: float
    draft: bool = False


@dataclass(frozen=True)
class SegmentWork:
    """All that decides how a segment is drawn.

    Attributes:
        first: the segment's first key on the canvas, RGB `(height, width, 3)`, or RGBA with
            straight alpha for an engine that `draws_alpha`.
        last: its last key, of the same shape.
        positions: of the wanted drawings in the motion, one or more, growing in (0, 1).
        passes: runs of a model of `NUM_FRAMES` frames that draw them, each after its parent.
        sketches: dark lines on white, RGB on the canvas, by pass and model frame.
        sampling: for engines that sample.
        seed: of all noise; 0 to 2**32 - 1.
        model: by its name: the loaded one, or one of its adapters.
    """

    first: Pixels
    last: Pixels
    positions: Sequence[Fraction]
    passes: Sequence[ModelPass]
    sampling: Sampling
    seed: int
    prompt: str = ""
    negative_prompt: str = ""
    model: str = ""
    sketches: Mapping[tuple[int, int], Pixels] = field(default_factory=dict)

    @property
    def canvas(self) -> Size:
        """Size of the keys and of all that is drawn."""
        return Size(self.first.shape[1], self.first.shape[0])


@dataclass(frozen=True)
class SegmentFrames:
    """A drawn segment, with as many channels as its keys had.

    Attributes:
        drawings: one for each position, `(positions, height, width, 3 or 4)`.
        first: the model's own frame at the first key; the key itself if the engine keeps it.
        last: the same at the last key.
    """

    drawings: Pixels
    first: Pixels
    last: Pixels


class Reporter(Protocol):
    """Follows the work on a segment. Every method raises when it may not go on."""

    def begin_pass(self, number: int) -> None:
        """Note which of the segment's passes begins; the first is 0."""

    def begin(self, stage: Stage) -> None:
        """Note that a pass enters `ENCODING`, `DENOISING` or `DECODING`."""

    def step(self, done: int, steps: int) -> None:
        """Note how many of a pass's steps are done."""

    def show(self, picture: Callable[[], Pixels]) -> None:
        """Send what is being drawn to those who watch; seldom enough to call it at each step.

        Args:
            picture: returns RGB or RGBA, `(height, width, 3 or 4)`; called if one is wanted now.
        """

    def check(self) -> None:
        """Ask whether the work may go on, several times a second."""


class Engine(Protocol):
    """Draws segments, one after the other, with one loaded model."""

    @property
    def device(self) -> str:
        """Where the model computes, as torch names it."""

    @property
    def draws_alpha(self) -> bool:
        """Whether the engine takes keys with alpha and returns drawings with it."""

    def draw(self, work: SegmentWork, reporter: Reporter) -> SegmentFrames:
        """Draw a segment.

        Raises:
            OutOfMemory: the canvas does not fit the device.
            NumericalError: the model computed NaN or infinity.
            DeviceBroken: the device computes nothing more.
            Everything that the reporter raises.
        """

    def begin_job(self) -> None:
        """Start measuring a job's peak of memory."""

    def peak_bytes(self) -> int:
        """Return the most memory since `begin_job`; 0 if the device does not report it."""
