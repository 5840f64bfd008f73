"""Draw the two keyframes in `examples/`: a kitten crouches below a butterfly, then leaps for it.

Original artwork, drawn at four times its size and scaled down for clean lines. Coordinates are
pixels of the final 512x320 drawing; a body part's own coordinates have the joint that it turns
around at (0, 0).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

Point = tuple[float, float]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SIZE = (512, 320)
SUPERSAMPLING = 4
LINE = 2.6  # width of the ink, in pixels

INK, FUR, FUR_SHADE, CREAM, PINK = "#33263d", "#f4a259", "#dd8142", "#fff0d9", "#f29b93"
SCARF, SCARF_SHADE, WING, WING_SPOT = "#3f8f9b", "#2f7080", "#8f6bc1", "#d9c4f2"
SKY, SUN, CLOUD = "#cdeaf0", "#fff6cf", "#f3fbfc"
FAR_HILL, HILL, GROUND, GRASS = "#b3dcc6", "#8ccaa0", "#6ab482", "#4f9a6c"


@dataclass(frozen=True)
class Pose:
    """Where the kitten is and how its parts are turned; angles in degrees, clockwise."""

    hips: Point
    chest: Point
    head: Point
    head_turn: float
    gaze: Point  # shift of the pupils
    mouth_open: float  # 0 closed, 1 wide
    near_arm: tuple[Point, Point]  # elbow and paw
    far_arm: tuple[Point, Point]
    near_leg: tuple[Point, Point]  # knee and paw
    far_leg: tuple[Point, Point]
    tail: tuple[Point, Point, Point]
    scarf: tuple[Point, Point]  # its loose end
    butterfly: Point
    wing_fold: float  # 0 flat, towards 1 folded
    shadow: tuple[float, float]  # centre and half width on the ground


CROUCH = Pose(
    hips=(186, 240), chest=(214, 222), head=(236, 184), head_turn=-14, gaze=(2.2, -1.8), mouth_open=0.0,
    near_arm=((232, 246), (236, 268)), far_arm=((244, 242), (256, 264)),
    near_leg=((206, 254), (200, 270)), far_leg=((190, 258), (178, 270)),
    tail=((150, 246), (126, 232), (118, 202)), scarf=((192, 210), (178, 220)),
    butterfly=(330, 104), wing_fold=0.15, shadow=(212, 58),
)  # fmt: skip
LEAP = Pose(
    hips=(224, 192), chest=(254, 164), head=(280, 116), head_turn=4, gaze=(2.4, -1.4), mouth_open=1.0,
    near_arm=((286, 172), (320, 162)), far_arm=((306, 154), (342, 132)),
    near_leg=((212, 220), (186, 236)), far_leg=((196, 206), (170, 214)),
    tail=((186, 186), (160, 172), (156, 140)), scarf=((228, 152), (204, 160)),
    butterfly=(376, 82), wing_fold=0.6, shadow=(246, 40),
)  # fmt: skip


class Sheet:
    """A drawing surface in final pixels that inks every shape it fills."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (SIZE[0] * SUPERSAMPLING, SIZE[1] * SUPERSAMPLING), SKY)
        self._draw = ImageDraw.Draw(self.image)

    def finish(self) -> Image.Image:
        """The drawing at its final size."""
        return self.image.resize(SIZE, Image.Resampling.LANCZOS)

    def fill(self, points: Iterable[Point], colour: str) -> None:
        """A flat area without an outline."""
        self._draw.polygon(_scaled(points), fill=colour)

    def shape(self, points: Sequence[Point], colour: str) -> None:
        """A flat area with an ink outline."""
        self.fill(points, colour)
        self.stroke([*points, points[0], points[1]], LINE, INK)

    def stroke(self, points: Sequence[Point], width: float, colour: str) -> None:
        """A line with round ends and joints."""
        radius = width * SUPERSAMPLING / 2
        scaled = _scaled(points)
        self._draw.line(scaled, fill=colour, width=round(2 * radius), joint="curve")
        for x, y in scaled:
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def limbs(self, limbs: Sequence[tuple[Sequence[Point], float, str]]) -> None:
        """Thick strokes of which each is a path, a width and a colour, with one outline around all
        of them.
        """
        for path, width, _ in limbs:
            self.stroke(path, width + 2 * LINE, INK)
        for path, width, colour in limbs:
            self.stroke(path, width, colour)


def _scaled(points: Iterable[Point]) -> list[Point]:
    return [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]


def curve(*points: Point, closed: bool = False, steps: int = 24) -> list[Point]:
    """A smooth line through the points (a Catmull-Rom spline)."""
    ring = (
        [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    )
    path = [
        (
            _spline(a[0], b[0], c[0], d[0], step / steps),
            _spline(a[1], b[1], c[1], d[1], step / steps),
        )
        for a, b, c, d in zip(ring, ring[1:], ring[2:], ring[3:], strict=False)
        for step in range(steps)
    ]
    return path if closed else [*path, points[-1]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )


def ellipse(centre: Point, half_width: float, half_height: float) -> list[Point]:
    """An ellipse as a polygon."""
    turns = (math.tau * step / 72 for step in range(72))
    return [
        (centre[0] + half_width * math.cos(turn), centre[1] + half_height * math.sin(turn))
        for turn in turns
    ]


def placed(points: Iterable[Point], at: Point, turn: float = 0.0) -> list[Point]:
    """A part's own coordinates, turned around its joint and moved to `at`."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return [(at[0] + x * cos - y * sin, at[1] + x * sin + y * cos) for x, y in points]


def draw(pose: Pose) -> Image.Image:
    """One keyframe, back to front."""
    sheet = Sheet()
    _background(sheet)
    sheet.fill(ellipse((pose.shadow[0], 276), pose.shadow[1], 6), GRASS)
    _body(sheet, pose)
    _head(sheet, pose)
    _near_limbs(sheet, pose)
    _butterfly(sheet, pose)
    return sheet.finish()


def _background(sheet: Sheet) -> None:
    sheet.fill(ellipse((430, 66), 34, 34), SUN)
    for x, y, size in ((96, 62, 1.0), (220, 40, 0.6), (476, 132, 0.7)):
        for dx, dy, radius in ((-24, 4, 13), (-6, -4, 19), (16, 1, 15), (30, 6, 9)):
            sheet.fill(
                ellipse((x + dx * size, y + dy * size), radius * size, radius * size * 0.8), CLOUD
            )
    ridges = {
        FAR_HILL: ((-20, 210), (90, 168), (210, 204), (330, 160), (450, 196), (540, 176)),
        HILL: ((-20, 236), (120, 222), (280, 232), (420, 204), (540, 224)),
        GROUND: ((-20, 262), (140, 254), (330, 258), (540, 250)),
    }
    for colour, ridge in ridges.items():
        sheet.fill([*curve(*ridge), (540, 330), (-20, 330)], colour)
    for x, y in ((40, 290), (104, 304), (300, 300), (352, 280), (430, 302), (474, 278)):
        for lean in (-5, 0, 5):
            sheet.stroke(curve((x + lean * 0.4, y), (x + lean, y - 9 + abs(lean) * 0.4)), 2, GRASS)
    for x, y in ((72, 286), (388, 294), (452, 286)):
        for turn in range(0, 360, 72):
            sheet.fill(placed(ellipse((0, -4), 2.4, 3.4), (x, y), turn), CLOUD)
        sheet.fill(ellipse((x, y), 2, 2), SUN)


def _body(sheet: Sheet, pose: Pose) -> None:
    tail = curve(pose.hips, *pose.tail)
    sheet.limbs(
        [
            (tail, 13, FUR_SHADE),
            (curve(pose.hips, *pose.far_leg), 16, FUR_SHADE),
            (curve(pose.chest, *pose.far_arm), 14, FUR_SHADE),
        ]
    )
    sheet.stroke(tail[-16:], 13, CREAM)
    for _, paw in (pose.far_leg, pose.far_arm):
        sheet.stroke([paw], 12, CREAM)
    torso = curve(pose.hips, _between(pose.hips, pose.chest, 0.5), pose.chest)
    sheet.limbs([(torso[:1], 50, FUR), (torso, 42, FUR)])
    belly = [(x + 7, y + 9) for x, y in torso[8:]]
    sheet.stroke(belly, 20, CREAM)


def _near_limbs(sheet: Sheet, pose: Pose) -> None:
    for joint, (bend, paw), width in (
        (pose.hips, pose.near_leg, 18),
        (pose.chest, pose.near_arm, 15),
    ):
        start = _between(joint, bend, 0.25)
        sheet.limbs([(curve(start, bend, paw), width, FUR)])
        # opens the outline where the limb grows out
        sheet.stroke(curve(joint, start, bend)[:30], width, FUR)
        sheet.stroke([paw], width - 1, CREAM)


def _head(sheet: Sheet, pose: Pose) -> None:
    neck = _between(pose.chest, pose.head, 0.42)
    loose = curve(neck, *pose.scarf)
    sheet.limbs([(loose, 10, SCARF_SHADE)])
    sheet.limbs([(placed(curve((-19, -1), (0, 6), (19, 0)), neck, pose.head_turn), 11, SCARF)])

    def part(points: Iterable[Point]) -> list[Point]:
        return placed(points, pose.head, pose.head_turn)

    for side in (-1, 1):
        sheet.shape(
            part(curve((side * 10, -26), (side * 30, -50), (side * 35, -12), closed=True)), FUR
        )
        sheet.fill(
            part(curve((side * 17, -26), (side * 28, -40), (side * 30, -16), closed=True)), PINK
        )
    right = [(14, -31), (32, -18), (40, 6), (46, 16), (30, 22)]
    skull = [*right, (0, 29), *((-x, y) for x, y in reversed(right))]
    sheet.shape(part(curve(*skull, closed=True)), FUR)
    sheet.fill(
        part(curve((-28, -2), (-41, 8), (-44, 15), (-28, 20), (-10, 25), (-24, 14), closed=True)),
        FUR_SHADE,
    )
    for x, length in ((-8, 8), (0, 11), (8, 8)):
        sheet.stroke(part([(x, -28), (x * 0.8, -28 + length)]), 3.4, FUR_SHADE)
    sheet.fill(part(ellipse((4, 13), 21, 12.5)), CREAM)
    _face(sheet, pose, part)


def _face(sheet: Sheet, pose: Pose, part: Callable[[Iterable[Point]], list[Point]]) -> None:
    for x in (-15, 21):
        sheet.fill(part(ellipse((x, -3), 7.2, 9.6)), INK)
        sheet.fill(part(ellipse((x + pose.gaze[0], -3 + pose.gaze[1] - 2), 3.0, 3.6)), "#ffffff")
        sheet.fill(part(ellipse((x - pose.gaze[0], 1.5), 1.4, 1.6)), "#ffffff")
        sheet.fill(part(ellipse((x + (6 if x > 0 else -6), 11), 5, 2.8)), PINK)
    if pose.mouth_open:
        sheet.shape(
            part(curve((-4, 15), (4, 14), (12, 15), (4, 15 + 11 * pose.mouth_open), closed=True)),
            "#a8414f",
        )
        sheet.fill(part(ellipse((4, 20.5), 3.6, 2.6)), PINK)
    else:
        for side in (-1, 1):
            sheet.stroke(part(curve((4, 12), (4 + side * 4, 16), (4 + side * 9, 14))), 2, INK)
    sheet.fill(part(curve((0, 7), (8, 7), (4, 12), closed=True)), INK)
    for side, origin in ((-1, -20), (1, 28)):
        for lift in (-3, 3):
            sheet.stroke(
                part([(origin, 14 + lift * 0.6), (origin + side * 25, 13 + lift * 2)]), 1.3, INK
            )


def _butterfly(sheet: Sheet, pose: Pose) -> None:
    for side in (-1, 1):
        reach = side * (1 - pose.wing_fold * 0.75)
        upper = curve((0, 0), (9 * reach, -17), (23 * reach, -19), (22 * reach, -5), closed=True)
        lower = curve((0, 1), (17 * reach, 2), (16 * reach, 14), (6 * reach, 13), closed=True)
        for wing in (lower, upper):
            sheet.shape(placed(wing, pose.butterfly, 14), WING)
        sheet.fill(
            placed(ellipse((15 * reach, -11), 4.2 * abs(reach), 4.2), pose.butterfly, 14), WING_SPOT
        )
        sheet.stroke(
            placed(curve((0, -6), (side * 3, -13), (side * 7, -17)), pose.butterfly, 14), 1.4, INK
        )
    sheet.stroke(placed([(0, -7), (0, 10)], pose.butterfly, 14), 4.4, INK)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


if __name__ == "__main__":
    EXAMPLES.mkdir(exist_ok=True)
    for name, pose in (("keyframe_a.png", CROUCH), ("keyframe_b.png", LEAP)):
        draw(pose).save(EXAMPLES / name, optimize=True)
