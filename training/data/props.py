"""Simple moving things: shapes with and without a face, worms, butterflies, wheels."""

import math
from collections.abc import Callable

import numpy as np

from training.data.colours import Style
from training.data.drawing import Drawing
from training.data.geometry import Points, curve, direction, ellipse, mix, placed
from training.data.motion import STAGE, Manner, Track, moved, random_place

Actor = Callable[[Drawing, float], None]  # draws itself at a progress in [0, 1]


def outline(rng: np.random.Generator) -> Points:
    """Choose a closed outline around (0, 0) with a radius of about 1."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return ellipse((0, 0), 1, rng.uniform(0.6, 1))
    if kind == 1:
        height = rng.uniform(0.4, 0.85)
        return np.array([(-0.85, -height), (0.85, -height), (0.85, height), (-0.85, height)])
    if kind == 2:
        corners = rng.integers(3, 7)
        angles = np.arange(corners) / corners * math.tau + rng.uniform(0, math.tau)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if kind == 3:
        corners = 2 * rng.integers(4, 7)
        angles = np.arange(corners) / corners * math.tau
        radii = np.where(np.arange(corners) % 2, rng.uniform(0.45, 0.7), 1.0)
    else:
        angles = np.arange(7) / 7 * math.tau
        radii = rng.uniform(0.65, 1.1, 7)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return points if kind == 3 else curve(points, closed=True, steps=5)


def shape(rng: np.random.Generator, style: Style, manner: Manner, still: bool = False) -> Actor:
    """Make a flat shape, perhaps with a face, a stripe or spots, that turns and squashes."""
    body, colour, second_colour = outline(rng), style.colour(rng), style.colour(rng)
    size = rng.uniform(10, 60)
    place = random_place(rng)
    end = [*place, 0, size, 1]
    if not still:
        turn = rng.normal(0, 0.6)
        growth, squash = np.exp(rng.normal(0, [0.18, 0.12]))
        end = [*moved(rng, place, manner.reach), turn, size * growth, squash]
    track = Track([*place, 0, size, 1], end, manner.draw_easing(rng), manner.draw_arc(rng))
    decoration = rng.random()
    marks = rng.uniform(-0.5, 0.5, (rng.integers(2, 6), 2))
    has_face = rng.random() < 0.5

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, size, squash = track.at(progress)

        def part(points: Points) -> Points:
            return placed(points * [size * squash, size / squash], (x, y), turn)

        drawing.shape(part(body), colour, style.line, style.ink)
        if decoration < 0.25:
            drawing.fill(part(ellipse((0, 0.3), 0.45, 0.3)), second_colour)
        elif decoration < 0.4:
            for mark in marks:
                drawing.fill(part(ellipse(mark, 0.12, 0.12)), second_colour)
        if has_face:
            for side in (-0.3, 0.3):
                drawing.fill(part(ellipse((side, -0.15), 0.11, 0.15)), style.ink)
            mouth = curve([(-0.2, 0.2), (0, 0.32), (0.2, 0.2)], steps=4)
            drawing.stroke(part(mouth), 2.2, style.ink, is_ink=True)

    return draw


def worm(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a thick stroke that bends."""
    colour, width, easing = style.colour(rng), rng.uniform(8, 22), manner.draw_easing(rng)
    place = random_place(rng)

    def pose() -> Points:
        angle, points = rng.uniform(0, math.tau), [place]
        for _ in range(3):
            angle += rng.normal(0, 0.6)
            points.append(points[-1] + direction(angle, rng.uniform(18, 40)))
        return np.array(points)

    first = pose()
    offset = moved(rng, place, manner.reach) - place
    last = mix(first, pose(), rng.uniform(0.2, 0.6)) + offset

    def draw(drawing: Drawing, progress: float) -> None:
        path = curve(mix(first, last, easing(progress)), steps=6)
        drawing.limbs([(path, width, colour)], style.line, style.ink)

    return draw


def butterfly(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a butterfly that flaps its wings."""
    wing, spot = style.colour(rng), style.colour(rng, (0.8, 1.0))
    size = rng.uniform(0.7, 1.5)
    place = random_place(rng)
    first = [*place, 0.25, rng.uniform(0, 0.6)]
    last = [*moved(rng, place, manner.reach), 0.25 + rng.normal(0, 0.25), rng.uniform(0, 0.6)]
    track = Track(first, last, manner.draw_easing(rng), manner.draw_arc(rng))
    upper = curve([(0, 0), (9, -17), (23, -19), (22, -5)], closed=True)
    lower = curve([(0, 1), (17, 2), (16, 14), (6, 13)], closed=True)

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, fold = track.at(progress)
        for side in (-1, 1):
            spread = [side * (1 - fold * 0.75), 1]
            for points in (lower, upper):
                wing_points = placed(points * spread, (x, y), turn, size)
                drawing.shape(wing_points, wing, style.line, style.ink)
            mark = ellipse((15, -11), 4.2, 4.2) * spread
            drawing.fill(placed(mark, (x, y), turn, size), spot)
        drawing.stroke(placed([(0, -7), (0, 10)], (x, y), turn, size), 4.4, style.ink, is_ink=True)

    return draw


def cart(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a vehicle whose wheels turn as it rolls."""
    body, cabin, wheel = style.colour(rng), style.colour(rng), style.colour(rng, (0.2, 0.6))
    length, radius = rng.uniform(30, 60), rng.uniform(9, 16)
    place = random_place(rng, 60)
    side = rng.choice([-1, 1])
    travel = rng.uniform(0, manner.reach) * side
    tilt = rng.normal(0, 0.08, 2)
    track = Track(
        [*place, tilt[0], 0],
        [
            place[0] + travel,
            place[1] + rng.normal(0, 0.05) * manner.reach,
            tilt[1],
            travel / radius,
        ],
        manner.draw_easing(rng),
    )
    box = np.array([(-1, -0.45), (0.9, -0.45), (1, 0.1), (-1, 0.1)]) * length
    roof = np.array([(-0.6, -0.45), (-0.4, -0.9), (0.3, -0.9), (0.55, -0.45)]) * length

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, roll = track.at(progress)
        drawing.shape(placed(roof, (x, y), turn), cabin, style.line, style.ink)
        drawing.shape(placed(box, (x, y), turn), body, style.line, style.ink)
        for place in (-0.6, 0.6):
            hub = placed([(place * length, 0.15 * length)], (x, y), turn)[0]
            drawing.shape(ellipse(hub, radius, radius), wheel, style.line, style.ink)
            for spoke in range(3):
                end = direction(roll + spoke * math.tau / 3, radius * 0.8)
                drawing.stroke([hub, hub + end], 2.5, cabin)

    return draw


def on_stage(place: Points, margin: float = 40) -> Points:
    """Move a place into the stage."""
    return np.clip(place, margin, STAGE - margin)
