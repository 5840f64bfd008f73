"""Characters that training never shows; they are for evaluation only."""

import numpy as np

from training.data.characters import random_angles
from training.data.colours import Style
from training.data.drawing import Drawing
from training.data.geometry import Points, curve, direction, ellipse, mix, placed
from training.data.motion import Manner, Track, moved, random_place
from training.data.props import Actor


def fish(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a fish that waves its tail."""
    scales, fin, size = style.colour(rng), style.colour(rng), rng.uniform(24, 60)
    place = random_place(rng, 60)
    first = [*place, rng.normal(0, 0.3), rng.normal(0, 0.5)]
    last = [*moved(rng, place, manner.reach), rng.normal(0, 0.4), rng.normal(0, 0.5)]
    track = Track(first, last, manner.draw_easing(rng), manner.draw_arc(rng))
    body = curve(
        [(-0.9, 0), (-0.1, -0.5), (0.8, -0.25), (1.05, 0.05), (0.7, 0.35), (-0.1, 0.5)], closed=True
    )
    tail = np.array([(0.1, 0), (-0.5, -0.5), (-0.35, 0), (-0.5, 0.5)])

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, wave = track.at(progress)

        def part(points: Points) -> Points:
            return placed(points, (x, y), turn, size)

        drawing.shape(part(placed(tail, (-0.85, 0), wave)), fin, style.line, style.ink)
        drawing.shape(part(body), scales, style.line, style.ink)
        for column in range(3):
            arc = curve(
                [(-0.3 + 0.3 * column, -0.3), (-0.15 + 0.3 * column, 0), (-0.3 + 0.3 * column, 0.3)]
            )
            drawing.stroke(part(arc), 2, style.ink, is_ink=True)
        drawing.shape(
            part(placed(tail[:3] * 0.6, (0.1, 0.1), wave * 0.7)), fin, style.line, style.ink
        )
        drawing.shape(
            part(ellipse((0.7, -0.05), 0.12, 0.14)), (255, 255, 255), style.line * 0.6, style.ink
        )
        drawing.fill(part(ellipse((0.73, -0.05), 0.05, 0.07)), style.ink)

    return draw


def robot(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a machine of boxes and pipes."""
    plate, second, lamp, size = (
        style.colour(rng),
        style.colour(rng),
        style.colour(rng, (0.8, 1)),
        rng.uniform(0.7, 1.4),
    )
    place = random_place(rng, 70)
    angles = random_angles(rng, 0.7)
    goal = mix(angles, random_angles(rng, 1.0), min(1.0, manner.reach / 60))
    easing = manner.draw_easing(rng)
    first = [*place, rng.normal(0, 0.1), rng.normal(0, 0.2)]
    track = Track(
        first, [*moved(rng, place, manner.reach), rng.normal(0, 0.2), rng.normal(0, 0.4)], easing
    )
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, nod = track.at(progress)
        pose = mix(angles, goal, easing(progress))
        centre = np.array([x, y])
        for index, corner in enumerate([(-22, -16), (22, -16), (-12, 24), (12, 24)]):
            start = placed([np.array(corner) * size], centre, turn)[0]
            elbow = start + direction(pose[index, 0], 22 * size)
            hand = elbow + direction(pose[index, 1], 20 * size)
            drawing.limbs(
                [(np.array([start, elbow, hand]), 7 * size, second)], style.line, style.ink
            )
            drawing.shape(ellipse(hand, 6 * size, 6 * size), lamp, style.line, style.ink)
        drawing.shape(placed(box * [22, 26], centre, turn, size), plate, style.line, style.ink)
        for row in range(3):
            drawing.fill(placed(box * [12, 2] + [0, row * 8 - 4], centre, turn, size), second)
        head = placed([(0, -42)], centre, turn, size)[0]
        drawing.stroke([placed([(0, -20)], centre, turn, size)[0], head], 8 * size, second)
        drawing.shape(placed(box * [16, 12], head, turn + nod, size), second, style.line, style.ink)
        for side in (-7, 7):
            drawing.shape(
                placed(ellipse((side, 0), 4, 4), head, turn + nod, size),
                lamp,
                style.line,
                style.ink,
            )

    return draw
