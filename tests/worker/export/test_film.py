"""What exporters read: exposures, compositing, and the colour below transparent pixels."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testkit.worker.films import drawn
from worker.export.film import Film, over, spread_colour

ONE = np.zeros((1, 4, 6, 3), np.uint8)


def test_starts_end_with_the_film_s_end() -> None:
    film = Film(ONE.repeat(3, 0), [2, 1, 5], Fraction(24))
    assert film.starts == [0, 2, 3, 8]
    assert film.film_frames == 8


@pytest.mark.parametrize(
    ("drawings", "exposures", "rate"),
    [(ONE, [0], 8), (ONE, [1, 1], 8), (ONE[0], [1], 8), (ONE[:0], [], 8), (ONE, [1], 0)],
)
def test_what_is_no_film(drawings: np.ndarray, exposures: list[int], rate: int) -> None:
    with pytest.raises(ValueError, match=r"have to be|exposure|rate"):
        Film(drawings, exposures, Fraction(rate))


@settings(deadline=None)
@given(
    arrays(np.uint8, (3, 4, 4)),
    st.tuples(*[st.integers(0, 255)] * 3),
)
def test_compositing_is_the_formula(drawing: np.ndarray, background: tuple[int, int, int]) -> None:
    """Alpha times colour plus the rest of the background, rounded to the nearest level."""
    alpha = drawing[..., 3:] / 255
    exact = drawing[..., :3] * alpha + np.array(background) * (1 - alpha)
    assert np.abs(over(drawing, background) - exact).max() <= 0.5 + 1e-9


class TestSpreadColour:
    @settings(deadline=None)
    @given(arrays(np.uint8, (5, 7, 4)))
    def test_visible_pixels_and_alpha_stay(self, drawing: np.ndarray) -> None:
        spread = spread_colour(drawing)
        assert (spread[..., 3] == drawing[..., 3]).all()
        visible = drawing[..., 3] > 0
        assert (spread[visible] == drawing[visible]).all()

    def test_hidden_pixels_beside_an_edge_take_its_colour(self) -> None:
        """Where a codec's blocks mix them."""
        drawing = np.zeros((8, 8, 4), np.uint8)
        drawing[:, :4] = (200, 40, 40, 255)
        assert (spread_colour(drawing)[:, 4:, :3] == (200, 40, 40)).all()

    def test_odd_sizes(self) -> None:
        (drawing,) = drawn(1, 45, 77)
        assert spread_colour(drawing).shape == drawing.shape
