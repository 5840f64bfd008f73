"""Palettes of drawings."""

import colorsys
from dataclasses import dataclass

import numpy as np

from training.data.drawing import Colour


def random_colour(
    rng: np.random.Generator,
    value: tuple[float, float] = (0.35, 1.0),
    saturation: tuple[float, float] = (0.2, 0.9),
) -> Colour:
    """Draw a colour with any hue; value and saturation are ranges within [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return red * 255, green * 255, blue * 255


def shaded(colour: Colour, factor: float) -> Colour:
    """Darken below 1, lighten above."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def blended(a: Colour, b: Colour, share: float) -> Colour:
    """Mix two colours: `a` at 0, `b` at 1."""
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


def from_hex(text: str) -> Colour:
    """Read `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


@dataclass(frozen=True)
class Style:
    """How one clip is drawn.

    Attributes:
        line: width of outlines in stage units; 0 for none.
        ink: their colour.
        pencil: white areas with lines only, as in a pencil test.
    """

    line: float
    ink: Colour
    pencil: bool

    def colour(
        self,
        rng: np.random.Generator,
        value: tuple[float, float] = (0.35, 1.0),
        saturation: tuple[float, float] = (0.2, 0.9),
    ) -> Colour:
        """Draw an area's colour."""
        colour = random_colour(rng, value, saturation)
        return blended(colour, (252, 252, 250), 0.94) if self.pencil else colour


EXAMPLE_STYLE = Style(2.6, (51, 38, 61), False)  # of the project's example drawings


def random_style(rng: np.random.Generator) -> Style:
    """Choose lines for a clip: mostly dark outlines of 1.6 to 3.6 units."""
    pencil = rng.random() < 0.1
    line = rng.uniform(1.6, 3.6) if pencil or rng.random() < 0.85 else 0.0
    if rng.random() < 0.55:
        ink = (51.0, 38.0, 61.0)
    else:
        ink = random_colour(rng, (0.02, 0.35), (0.0, 0.7))
    return Style(line, ink, pencil)
