"""A time series panel as SVG: axes, curves, limits."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from scripts.dashboards.answers import Point, Series, Span
from scripts.dashboards.values import COLORS, color_of, number

LEFT, RIGHT, TOP, BOTTOM = 74, 8, 6, 20  # pixels around the plot
GAP_STEPS = 1.5  # two points farther apart are not joined
CLOCK_TIMES = 4  # below the plot


def draw(
    panel: Mapping[str, Any], series: Sequence[Series], span: Span, width: int, height: int
) -> str:
    """The picture, so many pixels large."""
    return _Plot(panel, span, width, height).draw(series)


class _Plot:
    def __init__(self, panel: Mapping[str, Any], span: Span, width: int, height: int) -> None:
        self._panel, self._field = panel, panel["fieldConfig"]["defaults"]
        self._span, self._width, self._height = span, width, height

    def draw(self, series: Sequence[Series]) -> str:
        curves = [one.points for one in series]
        grounds: list[dict[float, float]] = [{} for _ in curves]
        if self._field["custom"]["stacking"]["mode"] == "normal":
            curves, grounds = _stacked(curves)
        self._ticks = self._choose_ticks(curves)
        parts = [*self._values(), *self._times()]
        for index in reversed(range(len(curves))):  # the first one on top
            parts += self._curve(
                curves[index], grounds[index], color_of(self._panel, series[index], index)
            )
        size = f'width="{self._width}" height="{self._height}" viewBox="0 0 {self._width} {self._height}"'
        return f"<svg {size}>{''.join([*parts, *self._limits()])}</svg>"

    def _x(self, time: float) -> float:
        share = (time - self._span.begin) / (self._span.end - self._span.begin)
        return round(LEFT + share * (self._width - LEFT - RIGHT), 1)

    def _y(self, value: float) -> float:
        share = value / self._ticks[-1]
        return round(self._height - BOTTOM - share * (self._height - TOP - BOTTOM), 1)

    def _line(self, points: Sequence[Point]) -> str:
        return " L".join(f"{self._x(time)},{self._y(value)}" for time, value in points)

    def _choose_ticks(self, curves: Sequence[Sequence[Point]]) -> list[float]:
        """About five round values from 0 to at least the largest."""
        most = max(value for points in curves for _, value in points)
        most = (
            self._field.get("max") or max(most, self._field["custom"].get("axisSoftMax", 0)) or 1.0
        )
        power = 10 ** math.floor(math.log10(most / 4))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * 5 >= most)
        if self._field.get("decimals") == 0:
            step = math.ceil(step)
        return [index * step for index in range(math.ceil(round(most / step, 6)) + 1)]

    def _values(self) -> list[str]:
        """The horizontal lines, and what they stand for."""
        parts = []
        for tick in self._ticks:
            y = self._y(tick)
            parts.append(f'<path class="grid" d="M{LEFT},{y} H{self._width - RIGHT}"/>')
            parts.append(
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4}">{number(self._panel, tick)}</text>'
            )
        return parts

    def _times(self) -> list[str]:
        """The times below."""
        parts = []
        for index in range(CLOCK_TIMES):
            time = self._span.begin + (index + 0.5) / CLOCK_TIMES * (
                self._span.end - self._span.begin
            )
            clock = datetime.fromtimestamp(time).astimezone().strftime("%H:%M:%S")
            parts.append(
                f'<text class="time" x="{self._x(time)}" y="{self._height - 5}">{clock}</text>'
            )
        return parts

    def _curve(
        self, points: Sequence[Point], ground: Mapping[float, float], color: str
    ) -> list[str]:
        """A line, and the area between it and what it stands on."""
        opacity = self._field["custom"]["fillOpacity"] / 100
        parts = []
        for run in _runs(points, self._span.step):
            back = [(time, ground.get(time, 0.0)) for time, _ in reversed(run)]
            area = f"M{self._line(run)} L{self._line(back)} Z"
            parts.append(f'<path d="{area}" fill="{color}" fill-opacity="{opacity}"/>')
            parts.append(f'<path class="curve" d="M{self._line(run)}" stroke="{color}"/>')
        return parts

    def _limits(self) -> list[str]:
        """Those thresholds that lie within the picture."""
        if self._field["custom"]["thresholdsStyle"]["mode"] == "off":
            return []
        return [
            f'<path class="limit" d="M{LEFT},{self._y(step["value"])} H{self._width - RIGHT}" '
            f'stroke="{COLORS[step["color"]]}"/>'
            for step in self._field["thresholds"]["steps"]
            if step["value"] is not None and step["value"] <= self._ticks[-1]
        ]


def _stacked(
    curves: Sequence[Sequence[Point]],
) -> tuple[list[list[Point]], list[dict[float, float]]]:
    """Each on top of those before it, and by time what each stands on."""
    height: dict[float, float] = {}
    raised, grounds = [], []
    for points in curves:
        grounds.append(dict(height))
        for time, value in points:
            height[time] = height.get(time, 0.0) + value
        raised.append([(time, height[time]) for time, _ in points])
    return raised, grounds


def _runs(points: Sequence[Point], step: float) -> list[list[Point]]:
    """The pieces of a curve that lie without a gap."""
    runs = [[points[0]]]
    for before, point in pairwise(points):
        if point[0] - before[0] > GAP_STEPS * step:
            runs.append([])
        runs[-1].append(point)
    return runs
