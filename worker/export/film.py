"""What every exporter reads and what it returns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Check = Callable[[], None]  # called between pictures; raises to stop the export


def no_check() -> None:
    """Never stop."""


@dataclass(frozen=True)
class Film:
    """Drawings and how long each is shown.

    Attributes:
        drawings: sRGB with straight alpha, `(drawings, height, width, 3 or 4)`.
        exposures: film frames of each drawing, 1 or more.
        rate: film frames per second.
        background: sRGB colour below transparent drawings, in formats without alpha.
    """

    drawings: Pixels
    exposures: Sequence[int]
    rate: Fraction
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        shape = self.drawings.shape
        if len(shape) != 4 or shape[3] not in (3, 4) or not all(shape):
            raise ValueError(f"drawings have to be (n, height, width, 3 or 4) but are {shape}")
        if len(self.exposures) != len(self.drawings) or min(self.exposures) < 1:
            raise ValueError("each drawing needs an exposure of 1 film frame or more")
        if self.rate <= 0:
            raise ValueError(f"the rate has to be positive but is {self.rate}")

    @property
    def height(self) -> int:
        """Of the drawings, in pixels."""
        return int(self.drawings.shape[1])

    @property
    def width(self) -> int:
        """Of the drawings, in pixels."""
        return int(self.drawings.shape[2])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the drawings, in pixels."""
        return self.width, self.height

    @property
    def has_alpha(self) -> bool:
        """Whether the drawings have an alpha channel."""
        return bool(self.drawings.shape[3] == 4)

    @property
    def film_frames(self) -> int:
        """How long the film is, in film frames."""
        return sum(self.exposures)

    @property
    def starts(self) -> list[int]:
        """The film frame at which each drawing appears, and behind them the film's end."""
        return list(accumulate(self.exposures, initial=0))

    def opaque(self) -> Iterator[Pixels]:
        """Yield each drawing over the background: `(height, width, 3)`."""
        for drawing in self.drawings:
            yield over(drawing, self.background)


@dataclass(frozen=True)
class Export:
    """A finished file.

    Attributes:
        name: the file's name, such as `video.mp4`.
        frames: pictures in the file.
        width, height: of the pictures in the file, in pixels.
    """

    content: bytes
    name: str
    content_type: str
    frames: int
    width: int
    height: int


def over(drawing: Pixels, background: tuple[int, int, int]) -> Pixels:
    """Composite one drawing over a colour, in sRGB as drawing programs do."""
    if drawing.shape[-1] == 3:
        return drawing
    alpha = drawing[..., 3:].astype(np.uint32)
    mixed = drawing[..., :3] * alpha + np.array(background, np.uint32) * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def with_alpha(pictures: Pixels) -> Pixels:
    """Make pictures, `(…, 3 or 4)`, RGBA; those without alpha are opaque."""
    if pictures.shape[-1] == 4:
        return pictures
    return np.pad(pictures, (*[(0, 0)] * (pictures.ndim - 1), (0, 1)), constant_values=255)


def spread_colour(drawing: Pixels) -> Pixels:
    """Give fully transparent pixels the colour of the nearest visible ones.

    Lossy codecs and colour subsampling mix neighbouring pixels whatever their alpha, so the colour
    that transparent pixels happen to have would show as a halo along every edge.

    Args:
        drawing: RGBA, `(height, width, 4)`.
    """
    alpha = drawing[..., 3]
    if alpha.all() or not alpha.any():
        return drawing
    colours = _pull_push(drawing[..., :3].astype(np.float32), alpha.astype(np.float32))
    spread = drawing.copy()
    hidden = alpha == 0
    spread[hidden, :3] = np.rint(colours[hidden]).astype(np.uint8)
    return spread


def _pull_push(colours: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill pixels of weight 0 from ever coarser means of the others."""
    height, width = weights.shape
    if height == width == 1:
        return colours
    odd = ((0, height % 2), (0, width % 2))
    weights_even = np.pad(weights, odd)
    sums = np.pad(colours, (*odd, (0, 0))) * weights_even[..., None]
    coarse = weights_even.reshape(-(-height // 2), 2, -(-width // 2), 2).sum((1, 3))
    sums = sums.reshape(*coarse.shape[:1], 2, coarse.shape[1], 2, 3).sum((1, 3))
    means = sums / np.maximum(coarse, 1e-6)[..., None]
    filled = _pull_push(means.astype(np.float32), np.minimum(coarse, 255).astype(np.float32))
    larger = filled.repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.where(weights[..., None] > 0, colours, larger)
