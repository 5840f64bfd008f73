"""From the engine's frames to the drawings of the result, and to what they are worth."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.records.job import QualityReport
from core.shots.fit import result_size
from core.shots.timeline import Segment
from worker.engines.engine import SegmentFrames
from worker.export.film import Check, Film, no_check, over, with_alpha
from worker.frames.alpha import KeyMatte, add_alpha
from worker.frames.colour_match import match_colours
from worker.frames.framing import Pixels, cut_out
from worker.frames.quality import measure_quality
from worker.frames.scaling import keep_keyframes, key_in_result, scale_all
from worker.shots.drawing import DrawnVariant
from worker.shots.preparation import PreparedShot, ShotKey


class Finished(NamedTuple):
    """A variant of the result and how it came out."""

    film: Film
    quality: QualityReport  # with the number of the first variant


def finish(shot: PreparedShot, drawn: DrawnVariant, check: Check = no_check) -> Finished:
    """Make the film of one variant.

    Each segment's colours are matched to its keys, then it gets its alpha and loses its padding.
    A key's drawing is the last frame of the segment that it ends, the first one of the segment that
    it starts where no model drew the other, or the key itself where none drew either.

    Args:
        shot: as prepared.
        drawn: its frames on the canvas, by segment.
        check: called between segments and between drawings; raises to stop.
    """
    matched = []
    for segment, frames in zip(shot.timeline.segments, drawn, strict=True):
        check()
        matched.append(_matched(shot, segment, frames))
    drawings = _arranged(shot, matched, check)
    request, first = shot.request, shot.keys[0].placement
    size = result_size(first, request.output_size)
    drawings = scale_all(drawings, size)
    if request.preserve_keyframes:
        kept = {
            index: key_in_result(_as_shown(key, shot), key.placement, first, size)
            for index, key in zip(shot.key_drawings, shot.keys, strict=True)
        }
        drawings = keep_keyframes(drawings, kept)
    film = Film(
        drawings,
        exposures=[len(drawing.film_frames) for drawing in shot.timeline.drawings],
        rate=request.fps,
        background=shot.background,
    )
    return Finished(film, _measured(shot, drawn, matched, film))


def _matched(shot: PreparedShot, segment: Segment, frames: SegmentFrames | None) -> Pixels:
    """Return a segment's frames from key to key on the canvas, their colours held to the keys.

    An engine that draws alpha moves the keys' own colours, so its frames stay as they are.
    """
    first, last = shot.ends(segment)
    if frames is None:
        return np.stack([first.laid, last.laid])
    whole = np.concatenate([frames.first[None], frames.drawings, frames.last[None]])
    if not shot.request.color_match or whole.shape[-1] == 4:
        return whole
    positions = [0.0, *map(float, segment.positions), 1.0]
    return match_colours(whole, first.picture, last.picture, positions)


def _arranged(shot: PreparedShot, matched: list[Pixels], check: Check) -> Pixels:
    """Return all drawings of the result, cut out of the canvas: `(drawings, h, w, 3 or 4)`."""
    box = shot.keys[0].placement.target
    segments = shot.timeline.segments
    parts = [
        cut_out(_with_alpha(shot, segment, frames, check), box)
        for segment, frames in zip(segments, matched, strict=True)
    ]
    drawings: list[Pixels] = []
    for segment, part in zip(segments, parts, strict=True):
        before = segment.number - 2
        is_joined = before >= 0 and (segments[before].passes or not segment.passes)
        drawings += [parts[before][-1] if is_joined else part[0], *part[1:-1]]
    if len(drawings) < len(shot.timeline.drawings):  # the shot does not loop
        drawings.append(parts[-1][-1])
    return np.stack(drawings)


def _with_alpha(shot: PreparedShot, segment: Segment, frames: Pixels, check: Check) -> Pixels:
    """Give the frames of a shot with alpha their mattes."""
    if not shot.has_alpha or frames.shape[-1] == 4:
        return frames
    first, last = shot.ends(segment)
    if first.is_opaque and last.is_opaque:
        return with_alpha(frames)
    mattes = [KeyMatte(key.picture, key.laid[..., 3]) for key in (first, last)]
    return add_alpha(frames, mattes[0], mattes[1], shot.background, check)


def _as_shown(key: ShotKey, shot: PreparedShot) -> Pixels:
    """Return a key with the channels of the result."""
    return key.source if shot.has_alpha else over(key.source, shot.background)


def _measured(
    shot: PreparedShot, drawn: DrawnVariant, matched: list[Pixels], film: Film
) -> QualityReport:
    segments = []
    for segment, frames in zip(shot.timeline.segments, matched, strict=True):
        first, last = shot.ends(segment)
        ends = np.stack([over(frames[end], shot.background) for end in (0, -1)])
        segments.append((ends, first.picture, last.picture))
    shown = np.stack(list(film.opaque())) if film.has_alpha else film.drawings
    return measure_quality(shown, list(_own_drawings(shot, drawn)), segments)


def _own_drawings(shot: PreparedShot, drawn: DrawnVariant) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield each key as the model saw it, and the model's own drawing of it."""
    for number, key in enumerate(shot.keys):
        ended = drawn[number - 1] if number else None
        started = drawn[number] if number < len(drawn) else None
        own = key.laid
        if ended is not None:
            own = ended.last
        elif started is not None:
            own = started.first
        yield key.picture, over(own, shot.background)
