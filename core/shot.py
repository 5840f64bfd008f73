"""From a request to what the model runs. Pure functions."""

import math

CANVAS_MULTIPLE = 64  # three stride-2 levels of the UNet below an autoencoder of 8
CANVAS_AREA = 512 * 320  # pixels; what the published weights were trained on
MIN_SIDE, MAX_SIDE = 128, 1024  # pixels; two latent rows at the UNet's deepest level, twice the trained width
MIN_AREA_RATIO = 0.75  # smaller canvases than that lie too far from the training size


def parse_canvas(text: str) -> tuple[int, int]:
    """Width and height of a canvas written as `512x320`."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def canvas_for(width: int, height: int) -> tuple[int, int]:
    """The canvas on which a drawing of this size is animated, when the caller names none.

    Of all canvases with 75 to 100 % of the trained area, the one nearest in aspect ratio (in log, so that portrait and
    landscape are treated alike); ties go to the larger.

    Returns:
        Width and height in pixels, multiples of 64: 16:9 gives 512x320, 4:3 448x320, 1:1 384x384.
    """
    aspect = math.log(width / height)
    sides = range(CANVAS_MULTIPLE, CANVAS_AREA // CANVAS_MULTIPLE + 1, CANVAS_MULTIPLE)
    canvases = [(w, h) for w in sides for h in sides if MIN_AREA_RATIO * CANVAS_AREA <= w * h <= CANVAS_AREA]
    return min(canvases, key=lambda c: (round(abs(math.log(c[0] / c[1]) - aspect), 9), -c[0] * c[1]))
