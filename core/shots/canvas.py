"""From a request to what the model runs. Pure functions."""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

CANVAS_MULTIPLE = 64  # three stride-2 levels of the UNet below an autoencoder of 8
CANVAS_AREA = 512 * 320  # pixels; what the published weights were trained on
# pixels; two latent rows at the UNet's deepest level, twice the trained width
MIN_SIDE, MAX_SIDE = 128, 1024
MIN_AREA_RATIO = 0.75  # smaller canvases than that lie too far from the training size
EVEN = 2  # H.264 stores colour for blocks of two by two pixels, so its pictures have even sides


class Size(NamedTuple):
    """Of a picture, in pixels."""

    width: int
    height: int


class Box(NamedTuple):
    """A rectangle inside a canvas, in pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        """Without the place."""
        return Size(self.width, self.height)


_SIDES = range(MIN_SIDE, MAX_SIDE + 1, CANVAS_MULTIPLE)

# What the model is run on when the caller names no canvas: 75 to 100 % of the trained area.
CANVASES = [
    Size(w, h)
    for w in _SIDES
    for h in _SIDES
    if MIN_AREA_RATIO * CANVAS_AREA <= w * h <= CANVAS_AREA
]


def parse_canvas(text: str) -> tuple[int, int]:
    """Width and height of a canvas written as `512x320`."""
    width, _, height = text.partition("x")
    return int(width), int(height)


@lru_cache(maxsize=1024)
def canvas_for(width: int, height: int) -> Size:
    """The canvas on which a drawing of this size is animated, when the caller names none.

    Of `CANVASES` the one nearest in aspect ratio, by the factor between the two ratios, so that
    portrait and landscape are treated alike; ties go to the larger.

    Returns:
        Width and height in pixels, multiples of 64: 16:9 gives 512x320, 4:3 448x320, 1:1 384x384.
    """

    def distance(canvas: Size) -> tuple[Fraction, int]:
        ratios = canvas.width * height, canvas.height * width
        return Fraction(max(ratios), min(ratios)), -canvas.width * canvas.height

    return min(CANVASES, key=distance)


def content_box(drawing: Size, canvas: Size) -> Box:
    """Where a drawing lies on a canvas: as large as it fits, undistorted, centred.

    One pair of the box's sides touches the canvas. The other is rounded to the nearest even number
    of pixels, so that it is off the exact aspect ratio by at most one; a video cut to the box has
    sides that H.264 can store.

    Args:
        drawing: the long side at most `core.images.formats.MAX_ASPECT` times the short one.
        canvas: of even sides.
    """
    # the drawing is the wider one
    if drawing.width * canvas.height >= canvas.width * drawing.height:
        width, height = (
            canvas.width,
            _nearest_even(Fraction(canvas.width * drawing.height, drawing.width)),
        )
    else:
        width, height = (
            _nearest_even(Fraction(canvas.height * drawing.width, drawing.height)),
            canvas.height,
        )
    return Box((canvas.width - width) // 2, (canvas.height - height) // 2, width, height)


def boxes_on_canvas(drawings: list[Size], canvas: Size) -> list[Box]:
    """Where each of a shot's drawings lies on the canvas.

    The first decides the picture; the others fill the same box where they have its aspect ratio,
    whatever their resolution, else each is fitted into that box as the first was fitted into the
    canvas.
    """
    picture = content_box(drawings[0], canvas)
    inner = [content_box(drawing, picture.size) for drawing in drawings[1:]]
    return [
        picture,
        *(box._replace(left=box.left + picture.left, top=box.top + picture.top) for box in inner),
    ]


def model_passes(steps: int, guidance_scale: float) -> int:
    """How often the UNet is evaluated: guidance compares each step's result with that of the
    negative prompt.
    """
    return steps if guidance_scale == 1 else 2 * steps


def _nearest_even(length: Fraction) -> int:
    return EVEN * round(length / EVEN)
