"""Twice the rate: new pictures where something moves, and nothing else changes."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import CancelRequested
from core.records.request import Keyframe
from testkit.jobs import generation_request
from worker.export.film import Film
from worker.shots.doubling import double_rate, film_of_moving_formats
from worker.shots.preparation import prepare

Pixels = NDArray[np.uint8]


def film(levels: list[int], exposures: list[int], rate: Fraction = Fraction(24)) -> Film:
    drawings = np.array(levels, np.uint8)[:, None, None, None]
    return Film(np.broadcast_to(drawings, (len(levels), 4, 6, 3)), exposures, rate)


def mean(first: Pixels, last: Pixels) -> Pixels:
    return ((first.astype(int) + last) // 2).astype(np.uint8)


def levels(found: Film) -> list[int]:
    return [int(drawing[0, 0, 0]) for drawing in found.drawings]


def test_each_drawing_appears_when_it_did_and_a_new_one_halfway() -> None:
    """On ones and on twos; the last drawing has nothing to move to."""
    doubled = double_rate(film([0, 100, 200], [1, 2, 1]), [1, 2, 1], mean)
    assert levels(doubled) == [0, 50, 100, 150, 200]
    assert doubled.exposures == [1, 1, 2, 2, 2]
    assert doubled.rate == 48
    assert doubled.film_frames == 2 * 4


def test_a_held_key_stays_still_until_its_motion_begins() -> None:
    """Held for ten film frames in a shot on twos."""
    doubled = double_rate(film([0, 100], [10, 2]), [2, 2], mean)
    assert levels(doubled) == [0, 50, 100]
    assert doubled.exposures == [18, 2, 4]


def test_equal_neighbours_get_no_picture() -> None:
    drawn: list[int] = []

    def halfway(first: Pixels, last: Pixels) -> Pixels:
        drawn.append(1)
        return mean(first, last)

    doubled = double_rate(film([7, 7, 9], [1, 1, 1]), [1, 1, 1], halfway)
    assert levels(doubled) == [7, 7, 8, 9]
    assert doubled.exposures == [2, 1, 1, 2]
    assert len(drawn) == 1


def test_a_loop_goes_on_from_the_last_to_the_first() -> None:
    doubled = double_rate(film([0, 100], [1, 1]), [1, 1], mean, loops=True)
    assert levels(doubled) == [0, 50, 100, 50]


def test_rates_of_video_stay_exact() -> None:
    doubled = double_rate(film([0, 9], [1, 1], Fraction(24000, 1001)), [1, 1], mean)
    assert doubled.rate == Fraction(48000, 1001)


def test_a_canceled_job_ends_between_pictures() -> None:
    def canceled(*_: Pixels) -> Pixels:
        raise CancelRequested

    with pytest.raises(CancelRequested):
        double_rate(film([0, 9], [1, 1]), [1, 1], canceled)


class TestOfARequest:
    def shown(self, **fields: object) -> Film:
        """Two keys with one drawing between, of which the first may be held."""
        image = generation_request().keyframes[0].image
        holds = fields.pop("holds", (None, None))
        assert isinstance(holds, tuple)
        request = generation_request(
            keyframes=[Keyframe(image=image, hold=hold) for hold in holds],
            frames_between=1,
            interpolate=2,
            **fields,
        )
        keys = [np.full((40, 64, 3), level, np.uint8) for level in (0, 200)]
        shot = prepare(request, keys)
        exposures = [len(drawing.film_frames) for drawing in shot.timeline.drawings]
        return film_of_moving_formats(film([0, 100, 200], exposures), shot, mean)

    def test_a_hold_ends_with_the_motion_of_an_unheld_drawing(self) -> None:
        assert self.shown(holds=(12, None), exposure=2).exposures == [22, 2, 2, 2, 4]

    def test_a_list_of_exposures_is_all_motion(self) -> None:
        assert self.shown(exposure=[3, 1, 1]).exposures == [3, 3, 1, 1, 2]

    def test_nothing_changes_where_it_is_not_asked_for(self) -> None:
        shot = prepare(generation_request(), [np.zeros((40, 64, 3), np.uint8)] * 2)
        given = film([0, 1], [1, 1])
        assert film_of_moving_formats(given, shot, mean) is given
