"""Twice the rate: new pictures where something moves, and nothing else changes."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import CancelRequested
from worker.export.film import Film
from worker.jobs.doubling import double_rate

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
