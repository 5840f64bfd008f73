"""Timeline: from keys at certain drawings to segments, and to the film frames of each drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from core.shots.passes import ModelPass, plan_passes
from core.shots.spacing import Spacing, positions

MAX_BETWEEN = 62  # drawings between two keys
USUAL_BETWEEN = 14  # where a request does not say it: one run of the model


@dataclass(frozen=True)
class Key:
    """A drawing of the caller's on the timeline.

    Attributes:
        frame: index of the drawing in the result; the first key's is 0.
        hold: film frames that it is shown, None for the exposure of the shot.
        spacing: of the segment that starts here, None for that of the shot.
    """

    frame: int
    hold: int | None = None
    spacing: Spacing | Sequence[float] | None = None


@dataclass(frozen=True)
class Segment:
    """The drawings between two neighbouring keys.

    Attributes:
        number: 1 for the first.
        first, last: numbers of its keys; with a loop the last segment ends at key 0.
        start: index of its first key's drawing in the result.
        positions: where its drawings lie in the motion, growing in (0, 1).
        passes: runs of the model that draw them.
    """

    number: int
    first: int
    last: int
    start: int
    positions: tuple[Fraction, ...]
    passes: list[ModelPass]


@dataclass(frozen=True)
class ShotDrawing:
    """One picture of the result on the timeline.

    Attributes:
        index: 0 for the first.
        segment: number of the segment that it belongs to; a key belongs to the one it starts, the
            last key to the one it ends.
        position: in the motion of its segment, 0 to 1.
        key: number of the key that it is, None for a drawing between.
        film_frames: those in which it is shown; the film's first is 0.
    """

    index: int
    segment: int
    position: Fraction
    key: int | None
    film_frames: range


@dataclass(frozen=True)
class Timeline:
    """A shot as the worker draws it and as the film shows it."""

    segments: list[Segment]
    drawings: list[ShotDrawing]


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


def lay_out(
    keys: Sequence[Key],
    *,
    spacing: Spacing | Sequence[float] = Spacing.EVEN,
    exposure: int | Sequence[int] = 1,
    loop: int | None = None,
) -> Timeline:
    """Return the segments and drawings of a shot.

    Args:
        keys: two or more, their frames growing from 0 by 1 to `MAX_BETWEEN` + 1.
        spacing: of the segments whose key names none.
        exposure: film frames of each drawing, or one number for each drawing of the result.
        loop: drawings between the last key and the first, None for a shot that ends.

    Raises:
        ValueError: keys, spacing or exposure do not fit; the message says what was wanted.
    """
    _check(keys)
    segments = _segments(keys, spacing, loop)
    places = _places(keys, segments, looped=loop is not None)
    return Timeline(segments, _expose(places, keys, exposure))


def _check(keys: Sequence[Key]) -> None:
    if len(keys) < 2 or keys[0].frame != 0:
        raise ValueError("a shot has to have two keys or more, the first at frame 0")
    for before, after in pairwise(keys):
        if not 1 <= after.frame - before.frame <= MAX_BETWEEN + 1:
            raise ValueError(
                f"`frame` has to grow by 1 to {MAX_BETWEEN + 1} from key to key but is "
                f"{after.frame} after {before.frame}"
            )


def _segments(
    keys: Sequence[Key], spacing: Spacing | Sequence[float], loop: int | None
) -> list[Segment]:
    counts = [after.frame - before.frame - 1 for before, after in pairwise(keys)]
    if loop is not None:
        counts.append(loop)
    segments = []
    for first, count in enumerate(counts):
        own = keys[first].spacing
        chosen = spacing if own is None else own
        where, passes = _plan(chosen if isinstance(chosen, Spacing) else tuple(chosen), count)
        segments.append(
            Segment(
                number=first + 1,
                first=first,
                last=(first + 1) % len(keys),
                start=keys[first].frame,
                positions=where,
                passes=passes,
            )
        )
    return segments


@lru_cache(maxsize=2048)  # segments of the shots that callers poll; each takes milliseconds
def _plan(
    spacing: Spacing | tuple[float, ...], count: int
) -> tuple[tuple[Fraction, ...], list[ModelPass]]:
    where = positions(spacing, count)
    return where, plan_passes(where)


def _places(
    keys: Sequence[Key], segments: list[Segment], *, looped: bool
) -> list[tuple[int, Fraction, int | None]]:
    """Return segment, position and key of each drawing, in order."""
    places: list[tuple[int, Fraction, int | None]] = []
    for segment in segments:
        places.append((segment.number, Fraction(0), segment.first))
        places += [(segment.number, position, None) for position in segment.positions]
    if not looped:
        places.append((segments[-1].number, Fraction(1), len(keys) - 1))
    return places


def _expose(
    places: list[tuple[int, Fraction, int | None]],
    keys: Sequence[Key],
    exposure: int | Sequence[int],
) -> list[ShotDrawing]:
    """Return the drawings with the film frames in which each is shown."""
    each = [exposure] * len(places) if isinstance(exposure, int) else list(exposure)
    if len(each) != len(places):
        raise ValueError(
            f"`exposure` has to have one number for each of {len(places)} drawings "
            f"but has {len(each)}"
        )
    drawings, film_frame = [], 0
    for index, (segment, position, key) in enumerate(places):
        hold = None if key is None else keys[key].hold
        shown = range(film_frame, film_frame + (each[index] if hold is None else hold))
        drawings.append(ShotDrawing(index, segment, position, key, shown))
        film_frame = shown.stop
    return drawings
