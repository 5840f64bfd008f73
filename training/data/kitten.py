"""The kitten of the project's example drawings, in any pose between crouch and leap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.data.colours import Style, from_hex, shaded
from training.data.drawing import Colour, Drawing
from training.data.geometry import Points, curve, ellipse, mix, placed
from training.data.motion import STAGE, Manner
from training.data.props import Actor

# Joints in stage units: hips, chest, head, near arm (2), far arm (2), near leg (2), far leg (2),
# tail (3), loose end of the scarf (2), shadow's centre.
CROUCH = np.array(
    [(186, 240), (214, 222), (236, 184), (232, 246), (236, 268), (244, 242), (256, 264),
     (206, 254), (200, 270), (190, 258), (178, 270), (150, 246), (126, 232), (118, 202),
     (192, 210), (178, 220), (212, 276)], np.float64,
)  # fmt: skip
LEAP = np.array(
    [(224, 192), (254, 164), (280, 116), (286, 172), (320, 162), (306, 154), (342, 132),
     (212, 220), (186, 236), (196, 206), (170, 214), (186, 186), (160, 172), (156, 140),
     (228, 152), (204, 160), (246, 276)], np.float64,
)  # fmt: skip
CENTRE = np.array([230.0, 210.0])


INK, FUR, FUR_SHADE, CREAM = (from_hex(c) for c in ("#33263d", "#f4a259", "#dd8142", "#fff0d9"))
PINK, SCARF, SCARF_SHADE, GRASS = (
    from_hex(c) for c in ("#f29b93", "#3f8f9b", "#2f7080", "#4f9a6c")
)


@dataclass(frozen=True)
class Coat:
    """The kitten's colours; by default those of the example drawings."""

    ink: Colour = INK
    fur: Colour = FUR
    fur_shade: Colour = FUR_SHADE
    cream: Colour = CREAM
    pink: Colour = PINK
    scarf: Colour = SCARF
    scarf_shade: Colour = SCARF_SHADE
    grass: Colour | None = GRASS


@dataclass(frozen=True)
class Pose:
    """Where the joints are; turn of the head in radians, gaze in units, mouth in [0, 1]."""

    joints: Points
    turn: float
    gaze: NDArray[np.float64]
    mouth: float

    def toward(self, other: "Pose", share: float) -> "Pose":
        """Interpolate to another pose."""
        return Pose(
            mix(self.joints, other.joints, share),
            float(mix(self.turn, other.turn, share)),
            mix(self.gaze, other.gaze, share),
            float(mix(self.mouth, other.mouth, share)),
        )


def random_pose(rng: np.random.Generator) -> Pose:
    """Choose a pose near the line from crouch to leap."""
    share = rng.uniform(-0.15, 1.15)
    spread = np.where(np.arange(len(CROUCH)) < 3, 4.2, 7.0)[:, None]
    joints = mix(CROUCH, LEAP, share) + rng.normal(0, 1, CROUCH.shape) * spread
    turn = np.radians(-14 + 18 * share + rng.normal(0, 8))
    gaze = np.array([2.3, -1.6]) + rng.normal(0, 0.6, 2)
    return Pose(joints, float(turn), gaze, float(np.clip(share + rng.normal(0, 0.3), 0, 1)))


def kitten(rng: np.random.Generator, style: Style, manner: Manner) -> Actor:
    """Make a kitten that goes from one pose to another."""
    coat = _random_coat(rng, style)
    size, mirror = rng.uniform(0.7, 1.3), rng.random() < 0.5
    first, last = random_pose(rng), random_pose(rng)
    last = first.toward(last, min(1.0, manner.reach / 80))
    room = np.array([1.0, 0.6]) * np.maximum(0, STAGE - 200) / 2
    place = STAGE / 2 + rng.uniform(-1, 0.8, 2) * room
    travel = rng.normal(0, 0.25, 2) * manner.reach
    easing = manner.draw_easing(rng)

    def draw(drawing: Drawing, progress: float) -> None:
        share = easing(progress)
        pose = first.toward(last, share)
        joints = (pose.joints - CENTRE) * size * [-1 if mirror else 1, 1] + place + travel * share
        draw_kitten(
            drawing, Pose(joints, pose.turn, pose.gaze, pose.mouth), coat, style.line, size, mirror
        )

    return draw


def _random_coat(rng: np.random.Generator, style: Style) -> Coat:
    if rng.random() < 0.4 and not style.pencil:
        return Coat()
    fur, scarf = style.colour(rng, (0.5, 1.0)), style.colour(rng)
    cream = style.colour(rng, (0.8, 1.0), (0.0, 0.3))
    grass = style.colour(rng) if rng.random() < 0.5 else None
    return Coat(
        style.ink,
        fur,
        shaded(fur, 0.85),
        cream,
        shaded(cream, 0.9),
        scarf,
        shaded(scarf, 0.75),
        grass,
    )


def draw_kitten(
    drawing: Drawing, pose: Pose, coat: Coat, line: float, size: float, mirror: bool
) -> None:
    """Draw the kitten, back to front; `size` is 1 in the example drawings."""
    joints = pose.joints
    hips, chest, head = joints[:3]
    if coat.grass is not None:
        drawing.fill(ellipse(joints[16], 50 * size, 6 * size), coat.grass)
    tail = curve([hips, *joints[11:14]])
    far_leg, far_arm = curve([hips, *joints[9:11]]), curve([chest, *joints[5:7]])
    back = [(tail, 13.0), (far_leg, 16.0), (far_arm, 14.0)]
    drawing.limbs([(path, width * size, coat.fur_shade) for path, width in back], line, coat.ink)
    drawing.stroke(tail[-6:], 13 * size, coat.cream)
    for paw in (joints[10], joints[6]):
        drawing.stroke([paw], 12 * size, coat.cream)
    torso = curve([hips, mix(hips, chest, 0.5), chest])
    body = [(torso[:1], 50 * size, coat.fur), (torso, 42 * size, coat.fur)]
    drawing.limbs(body, line, coat.ink)
    belly = np.array([-7 if mirror else 7, 9]) * size
    drawing.stroke(torso[3:] + belly, 20 * size, coat.cream)
    neck = mix(chest, head, 0.42)
    drawing.limbs([(curve([neck, *joints[14:16]]), 10 * size, coat.scarf_shade)], line, coat.ink)
    _draw_head(drawing, pose, coat, line, size, mirror, neck)
    for joint, bend, paw, width in ((hips, *joints[7:9], 18), (chest, *joints[3:5], 15)):
        start = mix(joint, bend, 0.25)
        drawing.limbs([(curve([start, bend, paw]), width * size, coat.fur)], line, coat.ink)
        drawing.stroke(curve([joint, start, bend])[:9], width * size, coat.fur)
        drawing.stroke([paw], (width - 1) * size, coat.cream)


def _draw_head(
    drawing: Drawing, pose: Pose, coat: Coat, line: float, size: float, mirror: bool, neck: Points
) -> None:
    flip = np.array([-1 if mirror else 1, 1])

    def part(points: ArrayLike, origin: Points = pose.joints[2]) -> Points:
        return placed(points, (0, 0), pose.turn, size) * flip + origin

    collar = part(curve([(-19, -1), (0, 6), (19, 0)]), neck)
    drawing.limbs([(collar, 11 * size, coat.scarf)], line, coat.ink)
    for side in (-1, 1):
        ear = curve([(side * 10, -26), (side * 30, -50), (side * 35, -12)], closed=True)
        drawing.shape(part(ear), coat.fur, line, coat.ink)
        inner = curve([(side * 17, -26), (side * 28, -40), (side * 30, -16)], closed=True)
        drawing.fill(part(inner), coat.pink)
    right = np.array([(14, -31), (32, -18), (40, 6), (46, 16), (30, 22)])
    outline = np.concatenate([right, [(0, 29)], right[::-1] * [-1, 1]])
    drawing.shape(part(curve(outline, closed=True)), coat.fur, line, coat.ink)
    cheek = [(-28, -2), (-41, 8), (-44, 15), (-28, 20), (-10, 25), (-24, 14)]
    drawing.fill(part(curve(cheek, closed=True)), coat.fur_shade)
    for x, length in ((-8, 8), (0, 11), (8, 8)):
        drawing.stroke(part([(x, -28), (x * 0.8, length - 28)]), 3.4 * size, coat.fur_shade)
    drawing.fill(part(ellipse((4, 13), 21, 12.5)), coat.cream)
    for x in (-15, 21):
        drawing.fill(part(ellipse((x, -3), 7.2, 9.6)), coat.ink)
        drawing.fill(part(ellipse(pose.gaze + np.array([x, -3.5]), 3.0, 3.6)), (255, 255, 255))
        drawing.fill(part(ellipse((x + (6 if x > 0 else -6), 11), 5, 2.8)), coat.pink)
    mouth = curve([(-4, 15), (4, 14), (12, 15), (4, 15 + 11 * max(pose.mouth, 0.05))], closed=True)
    drawing.shape(part(mouth), (168, 65, 79), line, coat.ink)
    drawing.fill(part(curve([(0, 7), (8, 7), (4, 12)], closed=True)), coat.ink)
    for side, origin in ((-1, -20), (1, 28)):
        for lift in (-3, 3):
            whisker = [(origin, 14 + lift * 0.6), (origin + side * 25, 13 + lift * 2)]
            drawing.stroke(part(whisker), 1.3 * size, coat.ink, is_ink=True)
