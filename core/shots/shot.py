"""Lay out a request's shot on its timeline."""

from collections.abc import Sequence
from typing import Protocol

from core.shots.spacing import Spacing
from core.shots.timeline import Key, Timeline, lay_out


class ShotKey(Protocol):
    """What a request says of one key."""

    @property
    def frame(self) -> int | None: ...

    @property
    def hold(self) -> int | None: ...

    @property
    def spacing(self) -> Spacing | Sequence[float] | None: ...


class ShotRequest(Protocol):
    """The fields of a request that decide its timeline."""

    @property
    def keyframes(self) -> Sequence[ShotKey]: ...

    @property
    def frames_between(self) -> int: ...

    @property
    def spacing(self) -> Spacing | Sequence[float]: ...

    @property
    def exposure(self) -> int | Sequence[int]: ...

    @property
    def loop(self) -> bool: ...


def frames_of_keys(frames: Sequence[int | None], frames_between: int) -> list[int]:
    """Return the drawing index of each key; one without is `frames_between` behind the one before.

    Args:
        frames: as sent, in order.
        frames_between: drawings between neighbouring keys.
    """
    found: list[int] = []
    for frame in frames:
        if frame is None:
            frame = found[-1] + frames_between + 1 if found else 0
        found.append(frame)
    return found


def timeline_of(request: ShotRequest) -> Timeline:
    """Return the segments and drawings of a request.

    Raises:
        ValueError: keys, spacing or exposure do not fit; the message says what was wanted.
    """
    frames = frames_of_keys([key.frame for key in request.keyframes], request.frames_between)
    keys = [
        Key(frame, key.hold, key.spacing)
        for frame, key in zip(frames, request.keyframes, strict=True)
    ]
    return lay_out(
        keys,
        spacing=request.spacing,
        exposure=request.exposure,
        loop=request.frames_between if request.loop else None,
    )
