"""Export metrics of queue, jobs and workers, read from Redis at each scrape.

They are right for any number of processes.
"""

from collections.abc import Iterator

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from core.errors import JobFailed
from core.records.job import JobState
from core.records.offer import Engine
from core.records.request import Priority
from core.records.worker import WorkerState
from core.store.check import shortcomings
from core.store.client import open_redis, open_script
from core.store.encoding import pairs
from core.telemetry import metrics

PATIENCE_SECONDS = 1.0  # Prometheus would drop a scrape that waits longer for a dead Redis

# Series that exist before their first event.
ALL_TOTALS = {
    **{f"accepted:{priority}": "0" for priority in Priority},
    **{f"ended:{state}:": "0" for state in (JobState.SUCCEEDED, JobState.CANCELED)},
    **{f"ended:{JobState.FAILED}:{error.code}": "0" for error in JobFailed.__subclasses__()},
}

log = structlog.get_logger("core")


class QueueMetrics(Collector):
    """Asks Redis when it is scraped; without an answer there is only `tooncrafter_redis_up` 0."""

    def __init__(self, redis_url: str, max_queued: int) -> None:
        self._max_queued = max_queued
        self._redis = open_redis(redis_url, timeout_seconds=PATIENCE_SECONDS, retry=None)
        self._deployment = open_script(self._redis, "deployment")
        self._webhooks = open_script(self._redis, "webhooks")

    def collect(self) -> Iterator[Metric]:
        """Return all metrics of one moment."""
        try:
            lanes, running, expired, workers, paused, totals, now, previews = self._deployment(
                "metrics"
            )
            backlog = self._webhooks("backlog")
            durable = not shortcomings(self._redis)
            memory = self._redis.info("memory")
        except RedisError as error:
            log.warning("no metrics of the queue, Redis does not answer", error=str(error))
            yield metrics.REDIS_UP.gauge(0)
            return
        yield metrics.REDIS_UP.gauge(1)
        yield metrics.REDIS_DURABLE.gauge(durable)
        yield metrics.REDIS_MEMORY.gauge(memory["used_memory"])
        limit = memory["maxmemory"] or memory["total_system_memory"]
        yield metrics.REDIS_MEMORY_LIMIT.gauge(limit)
        yield metrics.QUEUE_LIMIT.gauge(self._max_queued)
        yield from _of_lanes(lanes, now)
        yield metrics.RUNNING_JOBS.gauge(running)
        unfinished = running + sum(waiting for waiting, _ in lanes)
        yield metrics.JOBS_BY_ENGINE.gauges(
            {Engine.TOONCRAFTER: unfinished - previews, Engine.PREVIEW: previews}
        )
        yield metrics.EXPIRED_LEASES.gauge(expired)
        yield metrics.QUEUE_PAUSED.gauge(paused)
        yield metrics.WORKERS_BY_STATE.gauges(
            {state: workers.count(state) for state in WorkerState}
        )
        yield from _of_webhooks(*backlog)
        yield from _of_totals(pairs(totals))


def _of_lanes(lanes: list[list[int]], now: int) -> Iterator[Metric]:
    waiting: dict[str, int] = {}
    ages: dict[str, float] = {}
    for priority, (count, since) in zip(Priority, lanes, strict=True):
        waiting[priority] = count
        ages[priority] = max(0, now - since) / 1000 if since >= 0 else 0
    yield metrics.READY_JOBS.gauges(waiting)
    yield metrics.OLDEST_AGE.gauges(ages)


def _of_webhooks(waiting: int, due: int, in_flight: int, oldest: int, now: int) -> Iterator[Metric]:
    events = {"waiting": waiting - due, "due": due, "in_flight": in_flight}
    yield metrics.WEBHOOK_EVENTS.gauges(events)
    yield metrics.WEBHOOK_OLDEST_DUE.gauge((now - oldest) / 1000 if oldest else 0)


def _of_totals(totals: dict[str, str]) -> Iterator[Metric]:
    """Return the counters of the scripts that change jobs: none missed, none counted twice."""
    accepted, ended = metrics.JOBS_ACCEPTED.counter(), metrics.JOBS_ENDED.counter()
    for field, count in (ALL_TOTALS | totals).items():
        kind, *labels = field.split(":")
        if kind == "accepted":
            accepted.add_metric(labels, int(count))
        elif kind == "ended":
            ended.add_metric(labels, int(count))
    yield accepted
    yield ended
