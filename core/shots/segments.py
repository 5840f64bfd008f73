"""Split a request into segments, one model run per pair of adjacent keyframes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

NUM_FRAMES = 16  # frames of one run, both keyframes included: the length of the training clips


@dataclass(frozen=True)
class Sketch:
    """A line drawing that guides one frame of a segment."""

    image: int  # index into the request's sketches
    model_frame: int


@dataclass(frozen=True)
class Segment:
    """What one run of the model has to draw.

    Attributes:
        keys: indexes of its first and last keyframe in the request.
        prompt: what happens in it.
        seed: of its noise.
        drawings: the model's frames that become drawings of the result, ascending.
        sketches: which of the request's sketches guide which frame.
    """

    keys: tuple[int, int]
    prompt: str
    seed: int
    drawings: tuple[int, ...]
    sketches: tuple[Sketch, ...] = ()


class ShotRequest(Protocol):
    """The fields of a request that decide its segments."""

    @property
    def keyframes(self) -> Sequence[object]: ...

    @property
    def prompt(self) -> str: ...

    @property
    def seed(self) -> int: ...


def split_into_segments(request: ShotRequest) -> list[Segment]:
    """Return the request's segments, in order.

    Neighbouring segments share a keyframe; the earlier segment's last frame shows it. All segments
    use the request's seed, so that inserting a keyframe leaves the others as they were.
    """
    return [
        Segment(
            keys=(first, last),
            prompt=request.prompt,
            seed=request.seed,
            drawings=tuple(range(0 if first == 0 else 1, NUM_FRAMES)),
        )
        for first, last in pairwise(range(len(request.keyframes)))
    ]
