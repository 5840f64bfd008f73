"""Lines in an SVG, both axes from 0: enough for what is measured here, and small enough to stand in
a repository.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

LEFT, TOP, WIDTH, HEIGHT = 60, 20, 560, 240
GREEN, RED, GREY = "#1f7a6d", "#b5523b", "#777"

Point = tuple[float, float]  # in units of the axes


@dataclass(frozen=True)
class Line:
    """One line, and where its label begins."""

    label: str
    color: str
    points: Sequence[Point]
    label_at: Point
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """What an axis shows, the numbers that stand at it, and what it reaches at least."""

    label: str
    ticks: Sequence[float]
    most: float = 0


def line_chart(x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The whole file."""
    span = max(x.most, *x.ticks, *(point[0] for line in lines for point in line.points))
    most = max(y.most, *y.ticks, *(point[1] for line in lines for point in line.points))

    def place(point: Point) -> Point:
        return LEFT + WIDTH * point[0] / span, TOP + HEIGHT * (1 - point[1] / most)

    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 330" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="700" height="330" fill="white"/>',
        f'<path d="M{LEFT},{TOP} V{TOP + HEIGHT} H{LEFT + WIDTH}" fill="none" stroke="#444"/>',
        f'<text x="{LEFT + WIDTH / 2}" y="315" text-anchor="middle">{escape(x.label)}</text>',
        f'<text transform="translate(16,{TOP + HEIGHT / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(y.label)}</text>',
    ]
    for tick in x.ticks:
        at = place((tick, 0))[0]
        parts.append(
            f'<text x="{at:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{tick:g}</text>'
        )
    for tick in y.ticks:
        at = place((0, tick))[1]
        parts.append(f'<text x="{LEFT - 6}" y="{at:.1f}" dy="4" text-anchor="end">{tick:g}</text>')
    for line in lines:
        parts += _draw(line, [place(point) for point in line.points], place(line.label_at))
    return "\n".join([*parts, "</svg>\n"])


def _draw(line: Line, points: list[Point], label_at: Point) -> list[str]:
    """A dashed line is no measurement, so it has no dots."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    dots = [] if line.dashed else points
    return [
        f'<polyline points="{path}" fill="none" stroke="{line.color}" stroke-width="2"{dashes}/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.color}"/>' for x, y in dots),
        f'<text x="{label_at[0]:.0f}" y="{label_at[1]:.0f}" '
        f'fill="{line.color}">{escape(line.label)}</text>',
    ]
