"""Export how a worker's storage operations went, which its children measure."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from core.telemetry.metrics import STORAGE, counted


class StorageMetrics(Collector):
    """Adds up what one child after the other counted.

    The parent has no storage; its own metrics only name the series, to start at 0.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._counts: Sequence[float] = ()
        self._before: Sequence[float] = ()  # of children that have ended

    def observe(self, pid: int, counts: Sequence[float]) -> None:
        """Take what a child counted since its start, as `storage_counts` returns it."""
        if pid != self._pid:
            self._before = self._all()
            self._pid = pid
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all children."""
        counts = iter(self._all())
        for own in STORAGE.collect():
            family = Metric(own.name, own.documentation, own.type)
            for sample in counted(own):
                family.add_sample(sample.name, sample.labels, next(counts, 0.0))
            yield family

    def _all(self) -> list[float]:
        return [sum(both) for both in zip_longest(self._before, self._counts, fillvalue=0.0)]
