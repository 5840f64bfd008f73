"""Find what is lost when keyframes are drawn on a canvas, to warn the caller."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from core.shots.canvas import Size, boxes_on_canvas

SLIGHT = 1.1  # smaller changes of size than this factor are not worth a warning
WELL_FILLED = 0.75  # share of the canvas that a picture should cover


class KeyImage(Protocol):
    """What is known of a keyframe's image."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def has_alpha(self) -> bool: ...


class Warned(NamedTuple):
    """A warning: its code, a sentence that says what to do, and the field that causes it."""

    code: str
    detail: str
    pointer: str


def warnings_about(keys: Sequence[KeyImage], canvas: Size) -> list[Warned]:
    """Return what the result of these keyframes on this canvas loses.

    Args:
        keys: in order, at least one.
        canvas: what the model draws on.
    """
    boxes = boxes_on_canvas([Size(key.width, key.height) for key in keys], canvas)
    found = []
    for index, (key, box) in enumerate(zip(keys, boxes, strict=True)):
        pointer = f"/keyframes/{index}"
        if key.has_alpha:
            detail = "the drawing's transparency is flattened on white; the result is opaque"
            found.append(Warned("alpha_flattened", detail, pointer))
        if key.width > SLIGHT * box.width:
            detail = (
                f"the drawing of {key.width}x{key.height} is reduced to {box.width}x{box.height}, "
                "the size of the result; name a larger `width` and `height` for more detail"
            )
            found.append(Warned("keyframe_reduced", detail, pointer))
        if index and not _have_one_aspect(box.size, boxes[0].size):
            detail = (
                "the drawing has another aspect ratio than the first one and is shown smaller, "
                "with its edge colours around it; crop it to the first one's aspect ratio"
            )
            found.append(Warned("aspect_differs", detail, pointer))
    covered = boxes[0].width * boxes[0].height / (canvas.width * canvas.height)
    if covered < WELL_FILLED:
        detail = (
            f"the picture covers {covered:.0%} of the canvas of {canvas.width}x{canvas.height}; "
            "leave out `width` and `height` for the canvas that fits best, or widen the drawing"
        )
        found.append(Warned("canvas_wasted", detail, "/keyframes/0"))
    return found


def _have_one_aspect(one: Size, other: Size) -> bool:
    """Return whether two boxes are equal but for the rounding to even sides."""
    return abs(one.width - other.width) <= 2 and abs(one.height - other.height) <= 2
