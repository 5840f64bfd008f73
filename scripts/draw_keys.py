"""Draw the demo's key drawings into `examples/`: `python -m scripts.draw_keys`."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.colours import from_hex
from training.data.drawing import Drawing, Picture, paint
from training.data.geometry import Points, curve, ellipse, placed
from training.data.kitten import CROUCH, INK, LEAP, Coat, Pose, draw_kitten
from training.data.scenes import CLOUD_DISCS, FAR_HILL, GROUND, HILL, SKY, WHOLE

FOLDER = Path(__file__).resolve().parent.parent / "examples"
WIDTH, HEIGHT = 512, 320
OVERSAMPLING = 4
LINE = 2.6  # width of the kitten's outline, in pixels

# Of each key: how much of the leap's pose, how far to the right in pixels, and how high on top of
# what the pose itself rises. Neighbours differ by what an animator would leave to an assistant.
KEYS = (
    (0.0, -66, 0),
    (0.22, -56, 0),
    (0.47, -42, 2),
    (0.73, -24, 5),
    (0.97, 0, 8),
    (0.9, 24, 3),
    (0.64, 44, 0),
    (0.32, 58, -3),
    (0.0, 66, 0),
)
FROM_THE_GROUND = 276.0  # y of the shadow, in pixels


def main() -> None:
    """Write one file for each key."""
    for number, (leap, right, high) in enumerate(KEYS, 1):
        picture = draw_key(number - 1, leap, right, high)
        Image.fromarray(picture).save(FOLDER / f"leap_{number}.png", optimize=True)


def draw_key(index: int, leap: float, right: float, high: float) -> Picture:
    """Draw one key: uint8 `(HEIGHT, WIDTH, 3)`."""
    view = np.array([[OVERSAMPLING, 0, 0], [0, OVERSAMPLING, 0]], np.float64)
    drawing = Drawing(view, is_actor=False)
    _meadow(drawing)
    drawing.is_actor = True
    _butterfly(drawing, index)
    draw_kitten(drawing, _pose(leap, right, high), Coat(), LINE, 1.0, mirror=False)
    large = paint(drawing.pieces, HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING)
    small = Image.fromarray(large).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(small)


def _pose(leap: float, right: float, high: float) -> Pose:
    joints = CROUCH + (LEAP - CROUCH) * leap + [right, -high]
    joints[16, 1] = FROM_THE_GROUND  # the shadow stays below
    turn = float(np.radians(-14 + 18 * leap))
    return Pose(joints, turn, np.array([2.3, -1.6]), mouth=leap)


def _meadow(drawing: Drawing) -> None:
    drawing.fill(WHOLE, SKY)
    drawing.fill(ellipse((430, 62), 34, 34), from_hex("#fff3cf"))
    for place, size in (((96, 60), 1.1), ((222, 38), 0.7)):
        for x, y, radius in CLOUD_DISCS:
            centre = np.array(place) + np.array([x, y]) * size
            drawing.fill(ellipse(centre, radius * size, radius * size * 0.8), (255, 255, 255))
    for colour, heights in (
        (FAR_HILL, (200, 168, 196, 226, 180, 158, 190)),
        (HILL, (238, 232, 222, 206, 214, 236, 224)),
        (GROUND, (262, 258, 256, 252, 250, 254, 252)),
    ):
        x = np.linspace(-60, 572, len(heights))
        ridge = curve(np.stack([x, heights], axis=1))
        drawing.fill(np.concatenate([ridge, [(572, 400), (-60, 400)]]), colour)
    for x, y in ((40, 292), (104, 304), (300, 300), (352, 282), (474, 286)):
        for lean in (-5, 0, 5):
            blade = [(x + lean * 0.4, y), (x + lean, y + abs(lean) * 0.4 - 9)]
            drawing.stroke(blade, 2, from_hex("#4f9a6c"))


def _butterfly(drawing: Drawing, index: int) -> None:
    """It flies ahead of the kitten and a little up and down."""
    centre = np.array([330 + 12.0 * index, 96 - 3.5 * index])
    wing = from_hex("#8d6bc9")
    for side in (-1, 1):
        for points in (
            [(1, 0), (6, -14), (18, -18), (20, -6), (8, 2)],
            [(1, 2), (10, 3), (16, 10), (9, 16), (3, 10)],
        ):
            outline = curve(np.array(points) * [side, 1], closed=True)
            drawing.shape(_placed(outline, centre), wing, 2.0, INK)
    drawing.stroke(_placed(np.array([(0.0, -9), (0, 11)]), centre), 4, INK, is_ink=True)


def _placed(points: Points, centre: Points) -> Points:
    return placed(points, centre, np.radians(14), 0.8)


if __name__ == "__main__":
    main()
