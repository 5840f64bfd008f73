"""Double the rate of a film with pictures between its drawings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from worker.export.film import Film
from worker.frames.framing import Pixels
from worker.shots.preparation import PreparedShot

# Draws what is halfway between two pictures of one shape.
DrawHalfway = Callable[[Pixels, Pixels], Pixels]


def no_picture_between(first: Pixels, _: Pixels) -> Pixels:
    """Repeat the first picture, where no engine is at hand."""
    return first


def film_of_moving_formats(film: Film, shot: PreparedShot, draw_halfway: DrawHalfway) -> Film:
    """Return the film as formats that move show it: of twice the rate if the request says so."""
    request = shot.request
    if request.interpolate == 1:
        return film
    motions = list(film.exposures)
    if isinstance(request.exposure, int):
        for drawing in shot.timeline.drawings:
            if drawing.key is not None and request.keyframes[drawing.key].hold is not None:
                motions[drawing.index] = min(request.exposure, motions[drawing.index])
    return double_rate(film, motions, draw_halfway, loops=request.loop)


def double_rate(
    film: Film, motions: Sequence[int], draw_halfway: DrawHalfway, *, loops: bool = False
) -> Film:
    """Return a film of twice the rate, with a new picture between different neighbours.

    Each drawing appears at the same time as before. A new one takes over the second half of its
    motion, so that a shot on twos has both for two of the new film frames; what is held beyond the
    motion stays still.

    Args:
        film: the drawings and how long each is shown.
        motions: of each drawing, how many of its film frames lead to the next one: all of them, or
            for a held key those that it would have without the hold.
        draw_halfway: draws a new picture; may raise, which ends the work.
        loops: whether the first drawing follows the last.
    """
    pictures: list[Pixels] = []
    exposures: list[int] = []
    followers = _followers(film.drawings, loops=loops)
    for drawing, follower, exposure, motion in zip(
        film.drawings, followers, film.exposures, motions, strict=True
    ):
        pictures.append(drawing)
        if follower is None or np.array_equal(drawing, follower):
            exposures.append(2 * exposure)
            continue
        pictures.append(draw_halfway(drawing, follower))
        exposures += [2 * exposure - motion, motion]
    return replace(film, drawings=np.stack(pictures), exposures=exposures, rate=2 * film.rate)


def _followers(drawings: Pixels, *, loops: bool) -> Iterator[Pixels | None]:
    yield from drawings[1:]
    yield drawings[0] if loops else None
