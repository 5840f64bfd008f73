"""Export how long a worker's storage operations took, which its children measure."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core.telemetry.metrics import STORAGE_SECONDS, histograms_by_label

Times = Mapping[str, Mapping[str, float]]  # by operation, as `histograms_by_label` has them


class StorageTimes(Collector):
    """Adds up the histograms of one child after the other.

    The parent has no storage; its own histogram only names operations and buckets, to start at 0.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._times: Times = {}
        self._before: Times = {}  # of children that have ended

    def observe(self, pid: int, times: Times) -> None:
        """Take the histograms of a child since its start."""
        if pid != self._pid:
            self._before = self._all()
            self._pid = pid
        self._times = times

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram of all children."""
        (own,) = STORAGE_SECONDS.collect()
        family = HistogramMetricFamily(own.name, own.documentation, labels=["operation"])
        for operation, values in self._all().items():
            buckets = [(bound, value) for bound, value in values.items() if bound != "sum"]
            family.add_metric([operation], buckets, values["sum"])
        yield family

    def _all(self) -> Times:
        own = histograms_by_label(STORAGE_SECONDS)
        zeros = {operation: dict.fromkeys(values, 0.0) for operation, values in own.items()}
        parts = (zeros, self._before, self._times)
        operations = {operation for part in parts for operation in part}
        return {
            operation: {
                name: sum(part[operation][name] for part in parts if operation in part)
                for name in next(part[operation] for part in parts if operation in part)
            }
            for operation in sorted(operations)
        }
