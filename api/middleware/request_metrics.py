"""Counts requests by the template of their route, of which there are few, never by their path."""

import time
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import Scope

from core.telemetry.metrics import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT

UNKNOWN_ROUTE = "none"  # what no route takes: a path of the caller's invention is no label
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


def template_of(scope: Scope) -> str | None:
    """The path of the route that took a request, as the contract spells it; None where none did."""
    # `path` also names converters
    template: str | None = getattr(scope.get("route"), "path_format", None)
    return template


class RequestMetrics:
    """Around one request: made when its head is there, told its status when its answer has
    ended.
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        REQUESTS_IN_FLIGHT.inc()

    def end(self, scope: Scope, status: int) -> float:
        """Count it; answers the seconds that it took."""
        seconds = time.perf_counter() - self._begun
        route = template_of(scope) or UNKNOWN_ROUTE
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
        REQUESTS_IN_FLIGHT.dec()
        count, duration = _metrics_of(method, route, status)
        count.inc()
        duration.observe(seconds)
        return seconds


# of the few that there are; finding them by their labels takes longer than counting
@lru_cache(maxsize=1024)
def _metrics_of(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, str(status)), REQUEST_SECONDS.labels(method, route)
