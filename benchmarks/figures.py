"""Print measured figures as one Markdown table, with the machine and the day."""

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        area: the benchmark.
        what: what was measured.
        value: in `unit`; a ratio if that is empty.
        goal: the value to reach, if there is one.
    """

    area: str
    what: str
    value: float
    unit: str = ""
    goal: str = ""

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The cells of its line; more than three digits would be noise."""
        size = abs(self.value)
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
        return self.area, self.what, f"{self.value:.{digits}f}", self.unit or "ratio", self.goal


def table(figures: Iterable[Figure]) -> str:
    """Write the table."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = [("area", "what", "figure", "unit", "goal"), ("---",) * 5]
    lines = [f"| {' | '.join(cells)} |" for cells in [*head, *(one.cells for one in figures)]]
    return "\n".join([f"{datetime.now(UTC):%Y-%m-%d}, {machine}.", "", *lines, ""])


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
