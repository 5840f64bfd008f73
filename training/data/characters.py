"""Characters with limbs and faces: people, birds and beasts."""

import math

import numpy as np
from numpy.typing import NDArray

from training.data.colours import Style, shaded
from training.data.drawing import Colour, Drawing
from training.data.geometry import Points, curve, direction, ellipse, mix, placed
from training.data.motion import Manner, Track, moved, random_place
from training.data.props import Actor

Limb = tuple[Points, float, Colour]  # path, width, colour


def face(
    drawing: Drawing, style: Style, centre: Points, turn: float, radius: float, mouth: float,
    gaze: NDArray[np.float64],
) -> None:  # fmt: skip
    """Draw two eyes with pupils and a mouth that is open by `mouth` in [0, 1]."""

    def part(points: Points) -> Points:
        return placed(points, centre, turn, radius)

    for side in (-0.38, 0.38):
        eye = part(ellipse((side, -0.1), 0.2, 0.27))
        drawing.shape(eye, (255, 255, 255), style.line * 0.6, style.ink)
        pupil = ellipse((side + gaze[0] * 0.09, -0.08 + gaze[1] * 0.1), 0.09, 0.13)
        drawing.fill(part(pupil), style.ink)
    drawing.shape(
        part(ellipse((0, 0.48), 0.3, 0.05 + 0.22 * mouth)),
        (150, 60, 75),
        style.line * 0.6,
        style.ink,
    )


def _limb(start: Points, angles: NDArray[np.float64], lengths: tuple[float, float]) -> Points:
    """Place a two-part limb: shoulder, elbow, hand; angles in radians from the x axis."""
    elbow = start + direction(angles[0], lengths[0])
    return curve([start, elbow, elbow + direction(angles[1], lengths[1])], steps=5)


def random_angles(rng: np.random.Generator, swing: float) -> NDArray[np.float64]:
    """Choose angles of two arms and two legs, two parts each: `(4, 2)`, hanging down by default."""
    upper = math.pi / 2 + rng.normal(0, swing, 4)
    return np.stack([upper, upper + rng.normal(0, 0.5, 4)], axis=1)


def person(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a figure on two legs, from stocky to lanky."""
    skin, shirt, trousers, hair = (style.colour(rng, (0.4, 1.0)) for _ in range(4))
    size = rng.uniform(0.7, 1.6)
    head, torso, leg = (
        rng.uniform(13, 24) * size,
        rng.uniform(24, 42) * size,
        rng.uniform(16, 30) * size,
    )
    arm_width, leg_width = rng.uniform(7, 13, 2) * size
    girth = rng.uniform(0.35, 0.6) * torso
    place = random_place(rng, 70)
    energy = min(1.0, manner.reach / 60)
    first_angles = random_angles(rng, 0.6)
    last_angles = mix(first_angles, random_angles(rng, 0.9), energy)
    first = [*place, rng.normal(0, 0.1), rng.normal(0, 0.15), rng.random(), *rng.normal(0, 1, 2), 1]
    end = moved(rng, place, manner.reach)
    squash = math.exp(rng.normal(0, 0.08))
    last = [
        *end,
        rng.normal(0, 0.2),
        rng.normal(0, 0.25),
        rng.random(),
        *rng.normal(0, 1, 2),
        squash,
    ]
    easing = manner.draw_easing(rng)
    track = Track(first, last, easing, manner.draw_arc(rng))
    hair_kind = rng.integers(0, 3)

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, lean, nod, mouth, gaze_x, gaze_y, squash = track.at(progress)
        angles = mix(first_angles, last_angles, easing(progress))
        hips = np.array([x, y])
        neck = hips + direction(lean - math.pi / 2, torso * squash)
        side = direction(lean, girth)
        hang = lean * 0.5

        def limb(start: Points, index: int, length: float, width: float, colour: Colour) -> Limb:
            return _limb(start, angles[index] + hang, (length, length * 0.9)), width, colour

        far = [
            limb(neck + 0.12 * (hips - neck), 0, torso * 0.5, arm_width, shaded(skin, 0.85)),
            limb(hips, 2, leg, leg_width, shaded(trousers, 0.8)),
        ]
        drawing.limbs(far, style.line, style.ink)
        drawing.limbs([limb(hips, 3, leg, leg_width, trousers)], style.line, style.ink)
        body = np.array([neck - 0.7 * side, neck + 0.7 * side, hips + side, hips - side])
        drawing.shape(curve(body, closed=True), shirt, style.line, style.ink)
        skull = neck + direction(lean + nod - math.pi / 2, head * 0.95)
        tilt = lean + nod
        if hair_kind == 2:
            drawing.shape(
                placed(ellipse((0, 0.2), 1.15, 1.25), skull, tilt, head),
                hair,
                style.line,
                style.ink,
            )
        drawing.shape(
            ellipse((0, 0), 1, 1.05) @ np.eye(2) * head + skull, skin, style.line, style.ink
        )
        face(drawing, style, skull, tilt, head, mouth, np.array([gaze_x, gaze_y]))
        if hair_kind:
            fringe = [
                (-1.05, -0.1),
                (-0.9, -0.9),
                (0, -1.25),
                (0.9, -0.9),
                (1.05, -0.1),
                (0.2, -0.6),
            ]
            drawing.shape(
                placed(curve(fringe, closed=True), skull, tilt, head), hair, style.line, style.ink
            )
        near_arm = limb(neck + 0.15 * (hips - neck) + 0.3 * side, 1, torso * 0.5, arm_width, skin)
        drawing.limbs([near_arm], style.line, style.ink)

    return draw


def bird(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a bird that beats its wings."""
    plumage, belly, beak = (
        style.colour(rng),
        style.colour(rng, (0.7, 1)),
        style.colour(rng, (0.7, 1)),
    )
    size, mirror = rng.uniform(14, 40), rng.choice([-1, 1])
    place = random_place(rng)
    first = [*place, rng.normal(0, 0.2), rng.uniform(-1.2, 1.2)]
    last = [*moved(rng, place, manner.reach), rng.normal(0, 0.4), rng.uniform(-1.2, 1.2)]
    track = Track(first, last, manner.draw_easing(rng), manner.draw_arc(rng))
    body = curve(
        [(-1.3, 0.1), (-0.3, -0.5), (0.7, -0.55), (1, 0), (0.5, 0.55), (-0.4, 0.45)], closed=True
    )
    wing = curve([(0.2, 0), (-0.1, -0.8), (-0.7, -1.3), (-0.6, -0.2)], closed=True)

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, beat = track.at(progress)

        def part(points: Points, angle: float = 0, joint: tuple[float, float] = (0, 0)) -> Points:
            local = placed(points, joint, angle) * [mirror, 1]
            return placed(local, (x, y), turn, size)

        drawing.shape(
            part(wing, beat * 0.8 + 0.2, (0.1, -0.1)), shaded(plumage, 0.8), style.line, style.ink
        )
        drawing.shape(
            part(np.array([(0.9, -0.2), (1.5, 0), (0.9, 0.15)])), beak, style.line, style.ink
        )
        drawing.shape(part(body), plumage, style.line, style.ink)
        drawing.fill(part(ellipse((0.2, 0.2), 0.5, 0.25)), belly)
        drawing.fill(part(ellipse((0.6, -0.2), 0.1, 0.12)), style.ink)
        drawing.shape(part(wing, beat, (0, 0)), plumage, style.line, style.ink)

    return draw


def beast(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make an animal on four legs with a tail."""
    fur, muzzle, size, mirror = (
        style.colour(rng),
        style.colour(rng, (0.7, 1)),
        rng.uniform(0.6, 1.4),
        rng.choice([-1, 1]),
    )
    place = random_place(rng, 60)
    first_angles, goal = random_angles(rng, 0.5), random_angles(rng, 0.9)
    last_angles = mix(first_angles, goal, min(1.0, manner.reach / 60))
    first = [*place, rng.normal(0, 0.15), rng.normal(0, 0.3), rng.random(), rng.normal(0, 0.5)]
    last = [
        *moved(rng, place, manner.reach),
        rng.normal(0, 0.2),
        rng.normal(0, 0.4),
        rng.random(),
        rng.normal(0, 0.8),
    ]
    easing = manner.draw_easing(rng)
    track = Track(first, last, easing, manner.draw_arc(rng))
    trunk, leg, ears = rng.uniform(36, 56) * size, rng.uniform(10, 20) * size, rng.uniform(0.4, 1.3)

    def draw(drawing: Drawing, progress: float) -> None:
        x, y, turn, nod, mouth, wag = track.at(progress)
        angles = mix(first_angles, last_angles, easing(progress))
        facing = np.array([mirror, 1])

        def part(points: Points) -> Points:
            return placed(np.asarray(points) * facing, (x, y), turn)

        def legs(indices: tuple[int, int], colour: Colour) -> None:
            paths = []
            for index, start in zip(indices, (-0.42 * trunk, 0.42 * trunk), strict=True):
                joints = _limb(np.array([start, 0.15 * trunk]), angles[index], (leg, leg * 0.9))
                paths.append((part(joints), 11 * size, colour))
            drawing.limbs(paths, style.line, style.ink)

        root = np.array([-0.5 * trunk, -2])
        tail = curve(
            [
                root,
                root + direction(math.pi + wag, leg),
                root + direction(math.pi + 2 * wag, 1.8 * leg),
            ]
        )
        drawing.limbs([(part(tail), 8 * size, fur)], style.line, style.ink)
        legs((0, 1), shaded(fur, 0.8))
        spine = part(curve([(-0.4 * trunk, 0), (0, -2), (0.4 * trunk, 0)]))
        drawing.limbs([(spine, 30 * size, fur)], style.line, style.ink)
        legs((2, 3), fur)
        skull, radius = np.array([0.68 * trunk, -16 * size]), 17 * size
        for side in (-0.6, 0.5):
            ear = placed(
                [(side - 0.3, -0.7), (side, -0.9 - ears), (side + 0.35, -0.6)], skull, nod, radius
            )
            drawing.shape(part(ear), fur, style.line, style.ink)
        drawing.shape(
            part(placed(ellipse((0, 0), 1, 0.95), skull, nod, radius)), fur, style.line, style.ink
        )
        drawing.fill(part(placed(ellipse((0.3, 0.4), 0.6, 0.4), skull, nod, radius)), muzzle)
        centre = part(skull[None])[0]
        face(drawing, style, centre, turn + nod * mirror, radius, mouth, np.zeros(2))

    return draw
