"""From a drawing's size to the canvas that the model runs on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.shot import canvas_for


class TestCanvas:
    @pytest.mark.parametrize(
        ("drawing", "canvas"),
        [
            ((1920, 1080), (512, 320)),
            ((512, 320), (512, 320)),
            ((1600, 1200), (448, 320)),
            ((1000, 1000), (384, 384)),
            ((1080, 1920), (320, 512)),
        ],
    )
    def test_known_aspect_ratios(self, drawing: tuple[int, int], canvas: tuple[int, int]) -> None:
        """The sizes that callers are told."""
        assert canvas_for(*drawing) == canvas

    @given(st.integers(1, 16_384), st.integers(1, 16_384))
    def test_every_canvas_is_one_that_the_model_knows(self, width: int, height: int) -> None:
        """Multiples of 64, near the trained area, and the nearest in aspect ratio of all such."""
        chosen_width, chosen_height = canvas_for(width, height)
        assert chosen_width % 64 == chosen_height % 64 == 0
        assert 0.75 * 512 * 320 <= chosen_width * chosen_height <= 512 * 320

        def distance(w: int, h: int) -> float:
            return abs(math.log(w / h) - math.log(width / height))

        others = ((w, h) for w in range(64, 2561, 64) for h in range(64, 2561, 64) if 122_880 <= w * h <= 163_840)
        assert all(distance(chosen_width, chosen_height) <= distance(*other) + 1e-8 for other in others)

    @given(st.integers(1, 16_384), st.integers(1, 16_384))
    def test_portrait_is_landscape_turned(self, width: int, height: int) -> None:
        """Neither is favoured."""
        assert canvas_for(height, width) == canvas_for(width, height)[::-1]
