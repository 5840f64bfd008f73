"""A figure that was measured, as it stands in the one table of all benchmarks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line.

    Attributes:
        area: which benchmark it is of.
        what: was measured, in words.
        value: in `unit`; without one a ratio.
        goal: what it should come to, if anybody said so.
    """

    area: str
    what: str
    value: float
    unit: str = ""
    goal: str = ""

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """As they stand in the table; three digits are more than any figure here is good for."""
        digits = (
            0
            if abs(self.value) >= 100
            else 1
            if abs(self.value) >= 10
            else 2
            if abs(self.value) >= 0.1
            else 4
        )
        return self.area, self.what, f"{self.value:.{digits}f}", self.unit or "ratio", self.goal
