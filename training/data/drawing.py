"""A drawing as a list of pieces, painted as a picture, as line art or as a matte."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.data.geometry import Points

cv2.setNumThreads(1)  # a training process owns one core

Colour = tuple[float, float, float]  # red, green, blue in 0..255
Picture = NDArray[np.uint8]

FRACTION_BITS = 4  # OpenCV draws at 1/16 of a pixel
PAPER: Colour = (255, 255, 255)


@dataclass
class Piece:
    """One area or stroke.

    Attributes:
        points: `(n, 2)` in pixels; an outline, or the path of a stroke.
        colour: of the area or stroke; None leaves the area open.
        width: of a stroke in pixels; 0 for an area.
        line, ink: width in pixels and colour of an area's outline; 0 for none.
        is_ink: whether line art shows this stroke.
        is_actor: whether the matte shows this piece.
        texture: a picture stretched over the corners `points`, in place of a colour.
    """

    points: Points
    colour: Colour | None
    width: float = 0
    line: float = 0
    ink: Colour = (0, 0, 0)
    is_ink: bool = False
    is_actor: bool = True
    texture: Picture | None = None


@dataclass
class Drawing:
    """Records pieces back to front; coordinates given are stage units.

    Attributes:
        view: `(2, 3)`, from stage units to pixels; set by the camera for each layer.
        is_actor: marks the pieces that follow.
    """

    view: NDArray[np.float64]
    is_actor: bool = True
    pieces: list[Piece] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """Pixels per stage unit."""
        return float(np.hypot(self.view[0, 0], self.view[1, 0]))

    def fill(self, points: Points, colour: Colour) -> None:
        """Add a flat area without an outline."""
        self._add(points, colour)

    def shape(self, points: Points, colour: Colour, line: float, ink: Colour) -> None:
        """Add a flat area with an outline."""
        self._add(points, colour, line=line * self.scale, ink=ink)

    def stroke(self, points: ArrayLike, width: float, colour: Colour, is_ink: bool = False) -> None:
        """Add a line with round ends; a single point is a dot."""
        self._add(points, colour, width=width * self.scale, is_ink=is_ink)

    def limbs(
        self, limbs: Sequence[tuple[ArrayLike, float, Colour]], line: float, ink: Colour
    ) -> None:
        """Add thick strokes (path, width, colour) with one outline around all of them."""
        if line > 0:
            for path, width, _ in limbs:
                self.stroke(path, width + 2 * line, ink, is_ink=True)
        for path, width, colour in limbs:
            self.stroke(path, width, colour)

    def picture(self, corners: Points, texture: Picture) -> None:
        """Add a picture stretched over three corners: top left, top right, bottom left."""
        self._add(corners, None)
        self.pieces[-1].texture = texture

    def _add(self, points: ArrayLike, colour: Colour | None, **style: object) -> None:
        pixels = np.asarray(points, np.float64) @ self.view[:, :2].T + self.view[:, 2]
        piece = Piece(pixels, colour, is_actor=self.is_actor, **style)  # type: ignore[arg-type]
        self.pieces.append(piece)


def paint(
    pieces: Sequence[Piece], height: int, width: int, boil: Sequence[Points] | None = None
) -> Picture:
    """Paint in colour: uint8 `(height, width, 3)`.

    `boil` holds an offset `(n, 2)` in pixels for the points of each piece.
    """
    image = np.full((height, width, 3), 255, np.uint8)
    for index, piece in enumerate(pieces):
        points = piece.points if boil is None else piece.points + boil[index]
        if piece.texture is not None:
            _paint_texture(image, points, piece.texture)
        elif piece.width > 0:
            _stroke(image, points, piece.width, piece.colour or PAPER, False)
        else:
            _area(image, points, piece.colour)
            if piece.line > 0:
                _stroke(image, points, piece.line, piece.ink, True)
    return image


def paint_lines(pieces: Sequence[Piece], height: int, width: int, line: float = 1.5) -> Picture:
    """Paint line art: dark lines on white, uint8 `(height, width, 3)`; areas hide lines behind."""
    image = np.full((height, width, 3), 255, np.uint8)
    for piece in pieces:
        if piece.texture is not None:
            continue
        if piece.width > 0:
            _stroke(image, piece.points, piece.width, (0, 0, 0) if piece.is_ink else PAPER, False)
        else:
            _area(image, piece.points, PAPER)
            if piece.line > 0 or piece.is_actor:
                _stroke(image, piece.points, piece.line or line, (0, 0, 0), True)
    return image


def paint_matte(pieces: Sequence[Piece], height: int, width: int) -> Picture:
    """Paint what the actors cover: uint8 `(height, width)`, 255 on actors."""
    image = np.zeros((height, width, 3), np.uint8)
    for piece in pieces:
        if not piece.is_actor:
            continue
        if piece.width > 0:
            _stroke(image, piece.points, piece.width, PAPER, False)
        else:
            _area(image, piece.points, PAPER)
            if piece.line > 0:
                _stroke(image, piece.points, piece.line, PAPER, True)
    return image[..., 0]


def _fixed(points: Points) -> NDArray[np.int32]:
    scaled = np.clip(points, -4000, 4000) * (1 << FRACTION_BITS)
    return np.round(scaled).astype(np.int32).reshape(-1, 1, 2)


def _area(image: Picture, points: Points, colour: Colour | None) -> None:
    if colour is not None:
        cv2.fillPoly(image, [_fixed(points)], colour, cv2.LINE_AA, FRACTION_BITS)


def _stroke(image: Picture, points: Points, width: float, colour: Colour, closed: bool) -> None:
    fixed = _fixed(points)
    if len(fixed) == 1:
        radius = int(width / 2 * (1 << FRACTION_BITS))
        centre = (int(fixed[0, 0, 0]), int(fixed[0, 0, 1]))
        cv2.circle(image, centre, radius, colour, -1, cv2.LINE_AA, FRACTION_BITS)
        return
    thickness = max(1, round(width))
    cv2.polylines(image, [fixed], closed, colour, thickness, cv2.LINE_AA, FRACTION_BITS)


def _paint_texture(image: Picture, corners: Points, texture: Picture) -> None:
    height, width = texture.shape[:2]
    source = np.array([[0, 0], [width, 0], [0, height]], np.float32)
    matrix = cv2.getAffineTransform(source, corners[:3].astype(np.float32))
    size = (image.shape[1], image.shape[0])
    border = cv2.BORDER_REFLECT
    image[:] = cv2.warpAffine(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
