"""The canvas that the model draws on, and where drawings are placed on it."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

CANVAS_MULTIPLE = 64  # three stride-2 levels of the UNet below an autoencoder of 8
CANVAS_AREA = 512 * 320  # pixels; what the published weights were trained on
MIN_SIDE = 128  # pixels; two latent rows at the UNet's deepest level
MAX_SIDE = 1024  # pixels; twice the trained width
MIN_AREA_RATIO = 0.75  # smaller canvases are too far from the training size
EVEN = 2  # H.264 stores colour for blocks of two by two pixels, so its pictures have even sides


class Size(NamedTuple):
    """Width and height of a picture, in pixels."""

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
        """Width and height."""
        return Size(self.width, self.height)


def parse_canvas(text: str) -> tuple[int, int]:
    """Return width and height of a canvas written as `512x320`."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def canvases_within(area: float) -> list[Size]:
    """Return the canvases with 75 to 100 % of the largest that an area in pixels holds."""
    sides = range(MIN_SIDE, MAX_SIDE + 1, CANVAS_MULTIPLE)
    within = [Size(width, height) for width in sides for height in sides if width * height <= area]
    largest = max((size.width * size.height for size in within), default=0)
    return [size for size in within if size.width * size.height >= MIN_AREA_RATIO * largest]


CANVASES = canvases_within(CANVAS_AREA)  # those of jobs whose caller names none


@lru_cache(maxsize=1024)
def canvas_for(width: int, height: int) -> Size:
    """Return the canvas for a drawing of this size in pixels, if the caller names none.

    16:9 gives 512x320, 4:3 448x320, 1:1 384x384.
    """
    return nearest_canvas(Size(width, height), CANVASES)


def nearest_canvas(drawing: Size, canvases: Sequence[Size]) -> Size:
    """Return the canvas nearest to a drawing in aspect ratio; ties go to the larger.

    Distance is the factor between the two ratios, so that portrait and landscape are treated alike.
    """

    def distance(canvas: Size) -> tuple[Fraction, int]:
        ratios = canvas.width * drawing.height, canvas.height * drawing.width
        return Fraction(max(ratios), min(ratios)), -canvas.width * canvas.height

    return min(canvases, key=distance)


def content_box(drawing: Size, canvas: Size) -> Box:
    """Return where a drawing is placed on a canvas: as large as it fits, undistorted, centred.

    Two sides of the box touch the canvas. The distance of the others is rounded to the nearest even
    number of pixels, at most one off the exact aspect ratio, so that H.264 can store the cut video.

    Args:
        drawing: the long side at most `core.images.picture.MAX_ASPECT` times the short one.
        canvas: of even sides.
    """
    width = canvas.width
    height = canvas.height
    if drawing.width * canvas.height >= canvas.width * drawing.height:  # the drawing is wider
        height = _nearest_even(Fraction(canvas.width * drawing.height, drawing.width))
    else:
        width = _nearest_even(Fraction(canvas.height * drawing.width, drawing.height))
    return Box((canvas.width - width) // 2, (canvas.height - height) // 2, width, height)


def boxes_on_canvas(drawings: list[Size], canvas: Size) -> list[Box]:
    """Return where each of a shot's drawings is placed on the canvas.

    The first one decides the picture. Others of its aspect ratio fill the same box, whatever their
    resolution; each of the rest is fitted into that box as the first was into the canvas.
    """
    picture = content_box(drawings[0], canvas)
    inner = [content_box(drawing, picture.size) for drawing in drawings[1:]]
    return [
        picture,
        *(box._replace(left=box.left + picture.left, top=box.top + picture.top) for box in inner),
    ]


def model_passes(steps: int, guidance_scale: float) -> int:
    """Return how often the UNet is evaluated; guidance needs each step's negative prompt too."""
    return steps if guidance_scale == 1 else 2 * steps


def _nearest_even(length: Fraction) -> int:
    return EVEN * round(length / EVEN)
