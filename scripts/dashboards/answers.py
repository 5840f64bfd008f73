"""What Grafana would get from Prometheus for a panel of a dashboard's file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

Point = tuple[float, float]  # Unix time in seconds, value


@dataclass(frozen=True)
class Series:
    """One line of a legend: its name, its labels, and its points in order; a single one where only
    now is shown.
    """

    name: str
    labels: dict[str, str]
    points: list[Point]

    @property
    def last(self) -> float:
        """The value at the end."""
        return self.points[-1][1]


@dataclass(frozen=True)
class Span:
    """The time that is looked at, in Unix seconds, and how far its points lie apart."""

    begin: float
    end: float
    step: float


class DataSource:
    """A Prometheus.

    Args:
        url: where it listens.
        span: what to look at.
        scrape_seconds: how often it scrapes; as in Grafana, `$__rate_interval` is four times that,
            and a step longer than a scrape.
    """

    def __init__(self, url: str, span: Span, scrape_seconds: float) -> None:
        self._url = url
        self.span = span
        self._rate_interval = f"{max(4 * scrape_seconds, span.step + scrape_seconds):.0f}s"

    def variables(self, page: Mapping[str, Any]) -> dict[str, str]:
        """What a page's variables stand for while all of their values are chosen."""
        chosen = {}
        for variable in page["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(
                    r"label_values\((\w+), (\w+)\)", variable["query"]["query"]
                ).groups()
                values = self._get(f"/api/v1/label/{label}/values", {"match[]": metric})
                chosen[variable["name"]] = variable["allValue"] or "|".join(values)
        return chosen

    def ask(self, panel: Mapping[str, Any], variables: Mapping[str, str]) -> list[Series]:
        """All series of a panel in the order of its queries; what is no number is left out, as in a
        curve.

        Raises:
            ValueError: Prometheus refuses a query.
        """
        found = []
        for target in panel["targets"]:
            query = self.replace(target["expr"], variables)
            for labels, points in self._points(query, instant=target.get("instant", False)):
                known = [
                    (time, value)
                    for time, value in points
                    if value == value and abs(value) != float("inf")
                ]
                if known:
                    found.append(Series(legend(target["legendFormat"], labels), labels, known))
        return found

    def replace(self, query: str, variables: Mapping[str, str]) -> str:
        """The query as it is sent."""
        query = query.replace("$__rate_interval", self._rate_interval)
        for name, value in variables.items():
            query = query.replace(f"${name}", value)
        return query

    def _points(self, query: str, *, instant: bool) -> Iterator[tuple[dict[str, str], list[Point]]]:
        if instant:
            answer = self._get("/api/v1/query", {"query": query, "time": self.span.end})
            result = (
                answer["result"]
                if answer["resultType"] == "vector"
                else [{"metric": {}, "value": answer["result"]}]
            )
            for one in result:
                yield one["metric"], [(one["value"][0], float(one["value"][1]))]
            return
        span = {"start": self.span.begin, "end": self.span.end, "step": self.span.step}
        for one in self._get("/api/v1/query_range", {"query": query, **span})["result"]:
            yield one["metric"], [(time, float(value)) for time, value in one["values"]]

    def _get(self, path: str, parameters: dict[str, Any]) -> Any:
        answer = httpx.get(self._url + path, params=parameters, timeout=30).json()
        if answer["status"] != "success":
            raise ValueError(
                f"Prometheus refuses {parameters.get('query', path)}: {answer['error']}"
            )
        return answer["data"]


def legend(form: str, labels: Mapping[str, str]) -> str:
    """A series' name: `{{status}}` stands for the label's value."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), form).strip()
