"""Describe a dashboard: rows titled by an operator's questions, and the panels that answer them."""

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
    """One panel.

    Attributes:
        title: what it shows.
        says: the description behind the title's `i`.
        unit: by Grafana's name.
        queries: legend to query.
        kind: `timeseries`, `stat` (now, as a number), `bargauge` (now, as bars) or `table` (now,
            labels as columns).
        limits: lower bound to colour; drawn as lines in a time series. The first colour also holds
            below its bound.
        words: shown instead of a value.
        most: end of the scale.
        most_at_least: the scale ends here or later, so that small values look small.
        digits: decimals; none for counts.
        absent: shown if there is no series, where that is no gap in the measurement.
        stacked: the series are parts of a whole.
        many: many series, so the legend is one line of names.
        colors: regular expression of a legend to its colour.
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
    absent: str = ""
    stacked: bool = False
    many: bool = False
    colors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dashboard:
    """One page.

    Attributes:
        uid: part of its address.
        title: of the page.
        rows: question to the panels that answer it.
        variables: name to the metric and label whose values can be chosen; all by default.
    """

    uid: str
    title: str
    rows: dict[str, list[Panel]]
    variables: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def panels(self) -> list[Panel]:
        """All panels, in the order of the page."""
        return [panel for row in self.rows.values() for panel in row]


def quantile(share: float, metric: str, by: str = "", selector: str = "", span: str = RANGE) -> str:
    """Query the value below which this share of a histogram lies."""
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{selector}[{span}])))"
    )


def p50_and_p95(metric: str, selector: str = "", span: str = JOBS_RANGE) -> dict[str, str]:
    """Query a histogram's median and its 95th percentile."""
    return {
        "p50": quantile(0.5, metric, selector=selector, span=span),
        "p95": quantile(0.95, metric, selector=selector, span=span),
    }
