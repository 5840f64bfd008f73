"""From a drawing's size to the canvas that the model runs on, and to its place there."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.images.picture import MAX_ASPECT
from core.shots.canvas import (
    CANVASES,
    MAX_SIDE,
    MIN_SIDE,
    Box,
    Size,
    boxes_on_canvas,
    canvas_for,
    content_box,
)

sides = st.integers(1, 16_384)
canvas_sides = st.integers(MIN_SIDE // 64, MAX_SIDE // 64).map(lambda count: 64 * count)
canvases = st.builds(Size, canvas_sides, canvas_sides)


@st.composite
def drawings(draw: st.DrawFn) -> Size:
    """Any that the gateway accepts."""
    drawing = Size(draw(sides), draw(sides))
    assume(max(drawing) <= MAX_ASPECT * min(drawing))
    return drawing


class TestCanvas:
    @pytest.mark.parametrize(
        ("drawing", "canvas"),
        [
            ((1920, 1080), (512, 320)),
            ((512, 320), (512, 320)),
            ((1600, 1200), (448, 320)),
            ((1000, 1000), (384, 384)),
            ((1080, 1920), (320, 512)),
            ((1998, 1080), (512, 256)),
            ((2048, 858), (640, 256)),
            ((8000, 1000), (1024, 128)),
        ],
    )
    def test_known_aspect_ratios(self, drawing: tuple[int, int], canvas: tuple[int, int]) -> None:
        """The sizes that callers are told, and those of the cinema."""
        assert canvas_for(*drawing) == canvas

    @given(drawings())
    def test_every_canvas_is_one_that_the_model_knows(self, drawing: Size) -> None:
        """Multiples of 64, near the trained area, and the nearest in aspect ratio of all such."""
        chosen = canvas_for(*drawing)
        assert chosen.width % 64 == chosen.height % 64 == 0
        assert 0.75 * 512 * 320 <= chosen.width * chosen.height <= 512 * 320

        def distance(width: int, height: int) -> float:
            return abs(math.log(width / height) - math.log(drawing.width / drawing.height))

        others = [
            (w, h)
            for w in range(64, 2561, 64)
            for h in range(64, 2561, 64)
            if 122_880 <= w * h <= 163_840
        ]
        assert all(distance(*chosen) <= distance(*other) + 1e-8 for other in others)

    @given(drawings())
    def test_portrait_is_landscape_turned(self, drawing: Size) -> None:
        """Neither is favoured."""
        width, height = drawing
        assert canvas_for(height, width) == canvas_for(width, height)[::-1]

    def test_canvas_of_a_drawing_is_one_that_may_be_asked_for(self) -> None:
        """What is chosen for a caller can also be named by a caller."""
        assert all(MIN_SIDE <= side <= MAX_SIDE for canvas in CANVASES for side in canvas)


class TestContentBox:
    @pytest.mark.parametrize(
        ("drawing", "canvas", "box"),
        [
            ((1920, 1080), (512, 320), (0, 16, 512, 288)),  # bars above and below
            ((1080, 1920), (320, 512), (16, 0, 288, 512)),  # left and right
            # 426.7 becomes 426, the nearest even number
            ((1600, 1200), (448, 320), (11, 0, 426, 320)),
            ((1000, 1000), (384, 384), (0, 0, 384, 384)),
            ((1998, 1080), (512, 256), (19, 0, 474, 256)),
            ((4096, 2560), (512, 320), (0, 0, 512, 320)),
            ((16, 10), (512, 320), (0, 0, 512, 320)),  # smaller than the canvas
            # the flattest picture that can be asked for
            ((800, 100), (128, 1024), (0, 504, 128, 16)),
            ((1366, 854), (512, 320), (0, 0, 512, 320)),  # less than a pixel off: no bar
        ],
    )
    def test_known_places(self, drawing: Size, canvas: Size, box: Box) -> None:
        """What the documentation shows."""
        assert content_box(Size(*drawing), Size(*canvas)) == box

    @given(drawings(), canvases)
    def test_picture_lies_inside_the_canvas_and_keeps_its_shape(
        self, drawing: Size, canvas: Size
    ) -> None:
        """As large as it fits, centred, even, and at most one pixel off the exact aspect ratio."""
        box = content_box(drawing, canvas)
        assert box.left >= 0
        assert box.top >= 0
        assert canvas.width - box.width - 2 * box.left in (0, 1)
        assert canvas.height - box.height - 2 * box.top in (0, 1)
        assert box.width % 2 == box.height % 2 == 0
        assert box.width == canvas.width or box.height == canvas.height
        off_height = abs(box.height - Fraction(box.width * drawing.height, drawing.width))
        off_width = abs(box.width - Fraction(box.height * drawing.width, drawing.height))
        assert min(off_height, off_width) <= 1

    @given(canvases, st.integers(1, 64))
    def test_drawing_of_the_canvas_s_shape_fills_it(self, canvas: Size, times: int) -> None:
        """Whatever its resolution: nothing is added and nothing cut."""
        shape = Fraction(canvas.width, canvas.height)
        drawing = Size(shape.numerator * times, shape.denominator * times)
        assert content_box(drawing, canvas) == (0, 0, *canvas)


class TestShot:
    def test_same_shape_at_another_resolution_fills_the_same_box(self) -> None:
        """A clean-up beside a rough scan: both keys show the same field."""
        first, second = boxes_on_canvas([Size(1920, 1080), Size(1280, 720)], Size(512, 320))
        assert first == second == (0, 16, 512, 288)

    def test_other_shape_is_fitted_into_the_picture_of_the_first(self) -> None:
        """The whole second drawing is seen, and nothing of it lies where the result is cut off."""
        first, second = boxes_on_canvas([Size(1920, 1080), Size(1000, 1000)], Size(512, 320))
        assert first == (0, 16, 512, 288)
        assert second == (112, 16, 288, 288)

    @given(st.lists(drawings(), min_size=1, max_size=4), canvases)
    def test_nothing_leaves_the_picture(self, shot: list[Size], canvas: Size) -> None:
        """The first drawing's box holds all the others."""
        picture, *others = boxes_on_canvas(shot, canvas)
        for box in others:
            assert picture.left <= box.left
            assert picture.top <= box.top
            assert box.left + box.width <= picture.left + picture.width
            assert box.top + box.height <= picture.top + picture.height
            assert min(box.size) >= 2
