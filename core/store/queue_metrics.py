"""Queue, jobs and workers as Redis knows them, read by one script at each scrape: right however
many processes run.
"""

from collections.abc import Iterator

import redis
import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from core.errors import JobFailed
from core.records.job import JobState
from core.records.request import Priority
from core.records.worker import WorkerState
from core.store.check import shortcomings
from core.store.keys import LEASES, PAUSED, TOTALS, WORKER, WORKERS
from core.store.lua.common import COMMON, LANES
from core.store.lua.webhooks import BACKLOG
from core.telemetry import metrics

# a scrape that waits for a dead Redis would be given up by Prometheus with all else it tells
PATIENCE_SECONDS = 1.0

# Answer: of each lane how many jobs wait and since when (ms) the oldest does, or -1; running jobs;
# those of them whose lease is over; the state of each live worker; whether the queue is paused, 1
# or 0; the totals; the time (ms). It costs a look at each worker, however many jobs wait.
LOOK = (
    COMMON
    + f"""
local lanes, workers = {{}}, {{}}
for _, lane in ipairs({LANES}) do
  local oldest = redis.call('ZRANGE', lane, 0, 0, 'WITHSCORES')
  table.insert(lanes, {{redis.call('ZCARD', lane), tonumber(oldest[2] or -1)}})
end
for _, name in ipairs(redis.call('ZRANGE', '{WORKERS}', 0, -1)) do
  local state = redis.call('HGET', '{WORKER}' .. name, 'state')
  if state then table.insert(workers, state) end
end
return {{lanes, redis.call('ZCARD', '{LEASES}'), redis.call('ZCOUNT', '{LEASES}', '-inf', now()), workers,
  redis.call('EXISTS', '{PAUSED}'), redis.call('HGETALL', '{TOTALS}'), now()}}
"""
)

# Series that exist before their first event.
ALL_TOTALS = {
    **{f"accepted:{priority}": "0" for priority in Priority},
    **{f"ended:{state}:": "0" for state in (JobState.SUCCEEDED, JobState.CANCELED)},
    **{f"ended:{JobState.FAILED}:{error.code}": "0" for error in JobFailed.__subclasses__()},
}

log = structlog.get_logger("core")


class QueueMetrics(Collector):
    """Asks Redis when it is scraped. Where that does not answer, `tooncrafter_redis_up` is 0 and
    the rest is absent.
    """

    def __init__(self, redis_url: str, max_queued: int) -> None:
        self._max_queued = max_queued
        self._redis = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=None,
        )
        self._look = self._redis.register_script(LOOK)
        self._backlog = self._redis.register_script(BACKLOG)

    def describe(self) -> list[Metric]:
        """Nothing, so that registering this asks no Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything, of one moment."""
        try:
            lanes, running, expired, workers, paused, totals, now = self._look()
            backlog = self._backlog()
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
        yield metrics.EXPIRED_LEASES.gauge(expired)
        yield metrics.QUEUE_PAUSED.gauge(paused)
        yield _of_workers(workers)
        yield from _of_webhooks(*backlog)
        yield from _of_totals(dict(zip(totals[::2], totals[1::2], strict=True)))


def _of_lanes(lanes: list[list[int]], now: int) -> Iterator[Metric]:
    ready, oldest = metrics.READY_JOBS.gauge(), metrics.OLDEST_AGE.gauge()
    for priority, (waiting, since) in zip(Priority, lanes, strict=True):
        ready.add_metric([priority], waiting)
        oldest.add_metric([priority], max(0, now - since) / 1000 if since >= 0 else 0)
    yield ready
    yield oldest


def _of_workers(states: list[str]) -> Metric:
    counted = metrics.WORKERS_BY_STATE.gauge()
    for state in WorkerState:
        counted.add_metric([state], states.count(state))
    return counted


def _of_webhooks(waiting: int, due: int, in_flight: int, oldest: int, now: int) -> Iterator[Metric]:
    events = metrics.WEBHOOK_EVENTS.gauge()
    events.add_metric(["waiting"], waiting - due)
    events.add_metric(["due"], due)
    events.add_metric(["in_flight"], in_flight)
    yield events
    yield metrics.WEBHOOK_OLDEST_DUE.gauge((now - oldest) / 1000 if oldest else 0)


def _of_totals(totals: dict[str, str]) -> Iterator[Metric]:
    """Counted by the scripts that change jobs, so nothing is missed and nothing is counted
    twice.
    """
    accepted, ended = metrics.JOBS_ACCEPTED.counter(), metrics.JOBS_ENDED.counter()
    for field, count in (ALL_TOTALS | totals).items():
        kind, *labels = field.split(":")
        if kind == "accepted":
            accepted.add_metric(labels, int(count))
        elif kind == "ended":
            ended.add_metric(labels, int(count))
    yield accepted
    yield ended
