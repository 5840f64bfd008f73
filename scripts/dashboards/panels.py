"""What a dashboard is made of: panels that answer one question each, in rows titled by an
operator's questions.
"""

from dataclasses import dataclass, field

RANGE = "$__rate_interval"
# a job takes a minute, so a shorter window often holds none; an alert's window is no shorter
JOBS_RANGE = "5m"

WELL, WARNING, BAD, PLAIN = "green", "yellow", "red", "blue"  # Grafana's names
ONE_IS_WELL = {0: BAD, 1: WELL}
ONE_IS_BAD = {0: WELL, 1: BAD}
NO_YES = {0: "no", 1: "yes"}


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: what it shows.
        says: the description behind the title's `i`.
        unit: by Grafana's name.
        queries: legend to query.
        kind: `timeseries`, `stat` (now, as a number), `bargauge` (now, as bars) or `table` (now,
            labels as columns).
        limits: from which value on which colour; lines in a time series. The first one holds below
            it, too.
        words: shown instead of a value.
        most: end of the scale.
        most_at_least: where the scale does not end before, so that small values look small.
        digits: after the point; for counts none.
        stacked: the series are parts of a whole.
        many: so many series that their names stand in one line.
        colors: pattern of a legend to its colour, so that the eye finds what is bad.
    """

    title: str
    says: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    limits: dict[float, str] = field(default_factory=dict)
    words: dict[int, str] = field(default_factory=dict)
    most: float | None = None
    most_at_least: float | None = None
    digits: int | None = None
    stacked: bool = False
    many: bool = False
    colors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dashboard:
    """One page: rows of panels, by the question that they answer.

    Attributes:
        uid: part of its address.
        title: of the page.
        rows: question to panels.
        variables: name to the metric and label whose values one chooses from; all of them at first.
    """

    uid: str
    title: str
    rows: dict[str, list[Panel]]
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        """All of them, in the page's order."""
        return [panel for row in self.rows.values() for panel in row]


def quantile(share: float, metric: str, by: str = "", selector: str = "", span: str = RANGE) -> str:
    """A histogram's value that so large a share stays below."""
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{selector}[{span}])))"
    )


def median_and_slowest(metric: str, selector: str = "", span: str = JOBS_RANGE) -> dict[str, str]:
    """The median and the slowest twentieth of a histogram."""
    return {
        "half stay below": quantile(0.5, metric, selector=selector, span=span),
        "19 of 20": quantile(0.95, metric, selector=selector, span=span),
    }
