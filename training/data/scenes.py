"""Backgrounds in layers, and the camera that looks at them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.colours import Style, blended, from_hex, shaded
from training.data.drawing import Colour, Drawing, Picture
from training.data.geometry import Points, curve, ellipse
from training.data.motion import STAGE, Easing, Manner, Track

Layer = tuple[float, Callable[[Drawing], None]]  # depth (1 at the actors, 0 far away), painter

SKY, FAR_HILL, HILL, GROUND = (from_hex(c) for c in ("#cdeaf0", "#b3dcc6", "#8ccaa0", "#6ab482"))
CLOUD_DISCS = ((-24, 4, 13), (-6, -4, 19), (16, 1, 15), (30, 6, 9))
WHOLE = np.array([(-600.0, -400), (1112, -400), (1112, 720), (-600, 720)])  # beyond any view


@dataclass
class Camera:
    """Pan, zoom and roll.

    Attributes:
        track: x and y of the centre in stage units, logarithm of the zoom, roll in radians.
        scale: pixels per stage unit at zoom 1.
        centre: of the picture, in pixels.
    """

    track: Track
    scale: float
    centre: NDArray[np.float64]

    def view(self, progress: float, depth: float) -> NDArray[np.float64]:
        """Return the map `(2, 3)` from stage units to pixels of a layer; far ones move less."""
        start = self.track.at(0.0)
        x, y, zoom, roll = start + (self.track.at(progress) - start) * depth
        scale = self.scale * math.exp(zoom)
        cos, sin = math.cos(roll) * scale, math.sin(roll) * scale
        linear = np.array([[cos, -sin], [sin, cos]])
        offset = self.centre - linear @ np.array([x, y])
        return np.concatenate([linear, offset[:, None]], axis=1)


def random_camera(
    rng: np.random.Generator, manner: Manner, height: int, width: int, scale: float, moving: float
) -> Camera:
    """Choose a camera that moves in a share `moving` of all clips; scale in pixels per unit."""
    room = np.maximum(0, STAGE - np.array([width, height]) / scale) / 2
    start = [*(STAGE / 2 + rng.uniform(-1, 1, 2) * room), 0.0, 0.0]
    last = list(start)
    easing: Easing = manner.draw_easing(rng)
    if rng.random() < moving:
        angle, kind = rng.uniform(0, math.tau), rng.random()
        if kind < 0.75:
            distance = rng.uniform(0, 0.7) * manner.reach
            last[0] += distance * math.cos(angle)
            last[1] += 0.5 * distance * math.sin(angle)
        if kind > 0.5:
            last[2] = rng.normal(0, 0.12)
        if kind > 0.9:
            last[3] = rng.normal(0, 0.06)
    return Camera(Track(start, last, easing), scale, np.array([width, height]) / 2)


def random_scene(rng: np.random.Generator, style: Style) -> list[Layer]:
    """Choose a background's layers, back to front."""
    kind = rng.random()
    if kind < 0.2:
        paper = style.colour(rng, (0.6, 1.0), (0.0, 0.6))
        return [(0.3, lambda drawing: drawing.fill(WHOLE, paper))]
    if kind < 0.4:
        return [_textured(rng, style), *_props(rng, style)]
    if kind < 0.55:
        return [*_room(rng, style), *_props(rng, style)]
    return [*landscape(rng, style), *(_props(rng, style) if rng.random() < 0.4 else [])]


def landscape(rng: np.random.Generator, style: Style) -> list[Layer]:
    """Choose hills under a sky."""
    if rng.random() < 0.4 and not style.pencil:
        jitter = rng.normal(0, 6, (4, 3))
        palette = np.clip(np.array([SKY, FAR_HILL, HILL, GROUND]) + jitter, 0, 255)
        sky, *hills = (tuple(c) for c in palette)
    else:
        sky, *hills = (style.colour(rng, (0.6, 1.0), (0.05, 0.5)) for _ in range(4))
    line = style.line if style.pencil else 0.0
    layers: list[Layer] = [(0.1, lambda drawing: drawing.fill(WHOLE, sky))]
    layers.append((0.15, _sky_things(rng, style, sky)))
    for depth, (base, amplitude, colour) in zip(
        (0.35, 0.6, 0.9), zip((180, 225, 256), (25, 12, 6), hills, strict=True), strict=True
    ):
        if rng.random() < 0.8:
            layers.append((depth, _ridge(rng, base, amplitude, colour, line, style)))
    layers.append((0.95, _tufts(rng, shaded(hills[-1], 0.75))))
    return layers


def _ridge(
    rng: np.random.Generator,
    base: float,
    amplitude: float,
    colour: Colour,
    line: float,
    style: Style,
) -> Callable[[Drawing], None]:
    x = np.linspace(-300, 812, 13)
    y = base + rng.uniform(-20, 20) + rng.uniform(-amplitude, amplitude, 13)
    points = np.concatenate([curve(np.stack([x, y], axis=1)), [(812, 720), (-300, 720)]])
    return lambda drawing: drawing.shape(points, colour, line, style.ink)


def _sky_things(rng: np.random.Generator, style: Style, sky: Colour) -> Callable[[Drawing], None]:
    discs: list[tuple[Points, Colour]] = []
    if rng.random() < 0.6:
        radius = rng.uniform(20, 40)
        place = rng.uniform((20, 20), (490, 90))
        discs.append((ellipse(place, radius, radius), blended(sky, (255, 246, 207), 0.9)))
    cloud = blended(sky, (255, 255, 255), 0.8)
    for _ in range(rng.integers(0, 4)):
        place, size = rng.uniform((20, 20), (490, 140)), rng.uniform(0.6, 1.2)
        for x, y, radius in CLOUD_DISCS:
            disc = ellipse(place + np.array([x, y]) * size, radius * size, radius * size * 0.8)
            discs.append((disc, cloud))

    def paint(drawing: Drawing) -> None:
        for points, colour in discs:
            drawing.fill(points, colour)

    return paint


def _tufts(rng: np.random.Generator, colour: Colour) -> Callable[[Drawing], None]:
    roots = rng.uniform((10, 275), (500, 310), (rng.integers(0, 8), 2))

    def paint(drawing: Drawing) -> None:
        for root in roots:
            for lean in (-5, 0, 5):
                tip = root + np.array([lean, abs(lean) * 0.4 - 9])
                drawing.stroke([root + np.array([lean * 0.4, 0]), tip], 2, colour)

    return paint


def _textured(rng: np.random.Generator, style: Style) -> Layer:
    """A wash of paint: soft noise between two colours, or a pattern."""
    a, b = (np.array(style.colour(rng, (0.5, 1.0), (0.0, 0.6))) for _ in range(2))
    height, width = 180, 280
    if rng.random() < 0.6:
        cells = int(rng.integers(3, 24))
        noise = rng.random((cells, cells + cells // 2)).astype(np.float32)
        share = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    else:
        y, x = np.mgrid[:height, :width]
        angle, period = rng.uniform(0, math.tau), rng.uniform(8, 40)
        share = np.sin((x * math.cos(angle) + y * math.sin(angle)) * math.tau / period)
        if rng.random() < 0.5:
            share = share * np.sin((y * math.cos(angle) - x * math.sin(angle)) * math.tau / period)
        share = np.clip(share * 4, 0, 1)
    share = share * rng.uniform(0.15, 1.0)
    grain = rng.normal(0, rng.uniform(0, 5), (height, width, 1))
    mixed = a + (b - a) * share[..., None].clip(0, 1) + grain
    texture: Picture = np.clip(mixed, 0, 255).astype(np.uint8)
    corners = np.array([(-80.0, -50), (592, -50), (-80, 370)])
    return rng.uniform(0.2, 1.0), lambda drawing: drawing.picture(corners, texture)


def _room(rng: np.random.Generator, style: Style) -> list[Layer]:
    wall, floor, frame, glass = (style.colour(rng, (0.5, 1.0), (0.05, 0.6)) for _ in range(4))
    horizon = rng.uniform(200, 270)
    left, width, height = rng.uniform(20, 350), rng.uniform(60, 130), rng.uniform(50, 110)
    window = np.array(
        [(left, 40), (left + width, 40), (left + width, 40 + height), (left, 40 + height)]
    )
    ground = np.array([(-600, horizon), (1112, horizon), (1112, 720), (-600, 720)])
    boards = rng.uniform(20, 60)

    def paint(drawing: Drawing) -> None:
        drawing.fill(WHOLE, wall)
        drawing.shape(ground, floor, style.line, style.ink)
        for index in range(int(600 / boards)):
            x = index * boards - 50
            drawing.stroke(
                [(x, horizon), (x * 1.8 - 200, 400)], 1.5, shaded(floor, 0.8), is_ink=True
            )
        drawing.shape(window, glass, 4, frame)
        middle = left + width / 2
        drawing.stroke([(middle, 40), (middle, 40 + height)], 3, frame, is_ink=True)

    return [(0.9, paint)]


def _props(rng: np.random.Generator, style: Style) -> list[Layer]:
    """Trees, boxes and posts that stand still."""
    layers: list[Layer] = []
    for _ in range(rng.integers(0, 4)):
        place = rng.uniform((0, 150), (512, 290))
        size, kind = rng.uniform(0.6, 1.6), rng.integers(0, 3)
        crown, trunk = style.colour(rng), style.colour(rng, (0.3, 0.7))
        layers.append((rng.uniform(0.6, 1.0), _prop(style, place, size, int(kind), crown, trunk)))
    return layers


def _prop(
    style: Style, place: Points, size: float, kind: int, crown: Colour, trunk: Colour
) -> Callable[[Drawing], None]:
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])

    def paint(drawing: Drawing) -> None:
        if kind == 0:
            post = box * [5, 30] * size + place
            drawing.shape(post, trunk, style.line, style.ink)
            leaves = [(-30, -30), (-24, -62), (0, -80), (26, -60), (30, -30), (0, -22)]
            points = curve(np.array(leaves) * size + place, closed=True)
            drawing.shape(points, crown, style.line, style.ink)
        elif kind == 1:
            drawing.shape(box * [30, 22] * size + place, crown, style.line, style.ink)
            drawing.shape(
                box * [30, 6] * size + place - [0, 22 * size], trunk, style.line, style.ink
            )
        else:
            for column in range(4):
                post = box * [4, 20] * size + place + [column * 16 * size, 0]
                drawing.shape(post, crown, style.line, style.ink)

    return paint
