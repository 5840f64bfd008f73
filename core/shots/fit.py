"""How drawings of another aspect ratio meet the canvas, and how large the result is."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from core.shots.canvas import Box, Size, boxes_on_canvas


class Fit(StrEnum):
    """How another aspect ratio meets the canvas."""

    PAD = "pad"  # all of the drawing is seen; the rest of the canvas repeats its edge
    CROP = "crop"  # the canvas is filled; what is outside of it is lost
    STRETCH = "stretch"  # the canvas is filled; the drawing is distorted


class OutputSize(StrEnum):
    """The size of the result."""

    CANVAS = "canvas"  # what the model draws
    SOURCE = "source"  # the part of the first key that the model saw, in the key's own pixels


@dataclass(frozen=True)
class Placement:
    """Which part of a drawing is where on the canvas.

    Attributes:
        source: of the drawing, in its own pixels.
        target: on the canvas; its border is filled with the drawing's edge.
    """

    source: Box
    target: Box


def placements(drawings: list[Size], canvas: Size, fit: Fit) -> list[Placement]:
    """Place each of a shot's drawings, whatever its size, on the canvas.

    With `pad` the first drawing decides the picture, and the others are fitted into it. With
    `crop` and `stretch` each of them fills the canvas.
    """
    whole = [Box(0, 0, *drawing) for drawing in drawings]
    filled = Box(0, 0, *canvas)
    if fit is Fit.PAD:
        boxes = boxes_on_canvas(drawings, canvas)
        return [Placement(source, box) for source, box in zip(whole, boxes, strict=True)]
    if fit is Fit.CROP:
        return [Placement(crop_box(drawing, canvas), filled) for drawing in drawings]
    return [Placement(source, filled) for source in whole]


def crop_box(drawing: Size, canvas: Size) -> Box:
    """Cut the largest part of the canvas's aspect ratio out of a drawing's middle."""
    if drawing.width * canvas.height >= canvas.width * drawing.height:
        width = max(1, round(Fraction(drawing.height * canvas.width, canvas.height)))
        return Box((drawing.width - width) // 2, 0, width, drawing.height)
    height = max(1, round(Fraction(drawing.width * canvas.height, canvas.width)))
    return Box(0, (drawing.height - height) // 2, drawing.width, height)


def result_size(first: Placement, output_size: OutputSize) -> Size:
    """Size of the result's drawings, padding cut away: that of the first key's placement."""
    return (first.source if output_size is OutputSize.SOURCE else first.target).size


def in_result(placement: Placement, first: Placement, result: Size) -> Box:
    """Where a key's target on the canvas is in drawings of the result's size."""
    picture, target = first.target, placement.target
    across, down = Fraction(result.width, picture.width), Fraction(result.height, picture.height)
    left, top = (
        round((target.left - picture.left) * across),
        round((target.top - picture.top) * down),
    )
    right = round((target.left + target.width - picture.left) * across)
    bottom = round((target.top + target.height - picture.top) * down)
    return Box(left, top, max(1, right - left), max(1, bottom - top))
