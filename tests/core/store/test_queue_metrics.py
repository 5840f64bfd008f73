"""What a scrape tells of queue and jobs, read from Redis."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from core.errors import OutOfMemory
from core.records.job import Timing
from core.records.request import Priority
from core.records.worker import WorkerState
from core.store.queue_metrics import QueueMetrics
from core.store.roles.worker import WorkerStore
from core.telemetry import metrics
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import claim, expire_lease, submit
from testkit.store.tenant_jobs import TenantJobs


@pytest.fixture
def registry(redis_server: RedisServer) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(QueueMetrics(redis_server.url, max_queued=10_000))
    return registry


def names(families: Iterable[Metric]) -> set[str]:
    return {
        f"{family.name}_total" if family.type == "counter" else family.name for family in families
    }


def test_all_that_is_declared_is_told(registry: CollectorRegistry) -> None:
    """By the collector that asks Redis: everything that is computed at a scrape, but for the
    card's.
    """
    declared = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Scraped)}
    assert names(registry.collect()) == {
        name for name in declared if not name.startswith("tooncrafter_gpu_")
    }


async def test_however_many_gateways_and_dispatchers_there_are(
    redis_server: RedisServer, async_store: TenantJobs, store: WorkerStore
) -> None:
    """Each dispatcher tells of all jobs, whichever gateway took them; none has to be told of
    another.
    """
    other_gateway, dispatchers = (
        TenantJobs(redis_server.url),
        [CollectorRegistry() for _ in range(3)],
    )
    for dispatcher in dispatchers:
        dispatcher.register(QueueMetrics(redis_server.url, max_queued=10_000))
    for gateway in (async_store, other_gateway, other_gateway):
        await submit(gateway)
    store.succeed(claim(store), [stored_output()], Timing(), MODEL)
    canceled = await submit(async_store)
    await other_gateway.cancel(canceled.id)
    await other_gateway.close()
    for dispatcher in dispatchers:
        lane = {"priority": "interactive"}
        assert dispatcher.get_sample_value("tooncrafter_jobs_accepted_total", lane) == 4
        assert dispatcher.get_sample_value("tooncrafter_queue_ready_jobs", lane) == 2
        for status in ("succeeded", "canceled"):
            assert (
                dispatcher.get_sample_value(
                    "tooncrafter_jobs_ended_total", {"status": status, "code": ""}
                )
                == 1
            )


class TestQueue:
    async def test_waiting_jobs_stand_by_priority(
        self, async_store: TenantJobs, registry: CollectorRegistry
    ) -> None:
        for priority in (Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH):
            await submit(async_store, priority)
        waiting = {
            name: registry.get_sample_value("tooncrafter_queue_ready_jobs", {"priority": name})
            for name in Priority
        }
        assert waiting == {"interactive": 1, "batch": 2}
        assert (
            registry.get_sample_value("tooncrafter_jobs_accepted_total", {"priority": "batch"}) == 2
        )

    async def test_age_is_of_the_job_that_waits_longest(
        self, async_store: TenantJobs, registry: CollectorRegistry, redis_server: RedisServer
    ) -> None:
        job = await submit(async_store)
        await submit(async_store)
        redis_server.client.zincrby("tc:ready:interactive", -90_000, job.id)  # as if it were older
        age = registry.get_sample_value(
            "tooncrafter_queue_oldest_age_seconds", {"priority": "interactive"}
        )
        assert age is not None
        assert 90 <= age < 120
        assert (
            registry.get_sample_value("tooncrafter_queue_oldest_age_seconds", {"priority": "batch"})
            == 0
        )

    async def test_lease_that_ended_stands_apart(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        registry: CollectorRegistry,
        redis_server: RedisServer,
    ) -> None:
        """A worker that is not heard of is seen before the sweep has taken its job back."""
        await submit(async_store)
        job = await submit(async_store)
        claim(store)
        claim(store, "worker-2")
        expire_lease(redis_server, job.id)
        assert registry.get_sample_value("tooncrafter_queue_running_jobs") == 2
        assert registry.get_sample_value("tooncrafter_queue_expired_leases") == 1

    def test_workers_stand_by_state(self, store: WorkerStore, registry: CollectorRegistry) -> None:
        store.report("worker-1", state=WorkerState.IDLE)
        store.report("worker-2", state=WorkerState.BUSY)
        store.report("worker-3", state=WorkerState.BUSY)
        found = {
            state: registry.get_sample_value("tooncrafter_workers", {"state": state})
            for state in WorkerState
        }
        assert found == {state: {"idle": 1, "busy": 2}.get(state, 0) for state in WorkerState}


class TestTotals:
    def test_every_end_is_there_before_the_first(self, registry: CollectorRegistry) -> None:
        """A counter that appears with its first event hides it from `increase()`."""
        ends = [("succeeded", ""), ("canceled", "")]
        ends += [("failed", code) for code in ("worker_lost", "out_of_memory", "storage_failed")]
        for status, code in ends:
            labels = {"status": status, "code": code}
            assert registry.get_sample_value("tooncrafter_jobs_ended_total", labels) == 0

    async def test_each_end_is_counted_once(
        self, async_store: TenantJobs, store: WorkerStore, registry: CollectorRegistry
    ) -> None:
        """By the scripts that end jobs, called by worker, gateway or dispatcher."""

        def ended(status: str, code: str = "") -> float | None:
            return registry.get_sample_value(
                "tooncrafter_jobs_ended_total", {"status": status, "code": code}
            )

        assert ended("succeeded") == 0
        for _ in range(3):
            await submit(async_store)
        done = claim(store)
        store.succeed(done, [stored_output()], Timing(), MODEL)
        store.succeed(done, [stored_output()], Timing(), MODEL)  # the answer to the first was lost
        store.fail(claim(store), OutOfMemory("too large"), Timing(), MODEL)
        canceled = await async_store.cancel((await submit(async_store)).id)
        assert canceled
        assert (ended("succeeded"), ended("failed", "out_of_memory"), ended("canceled")) == (
            1,
            1,
            1,
        )

    async def test_submission_that_is_repeated_counts_once(
        self, async_store: TenantJobs, registry: CollectorRegistry
    ) -> None:
        await submit(async_store)
        assert (
            registry.get_sample_value(
                "tooncrafter_jobs_accepted_total", {"priority": "interactive"}
            )
            == 1
        )


class TestRedis:
    def test_settings_that_lose_jobs_are_seen(
        self, redis_server: RedisServer, registry: CollectorRegistry
    ) -> None:
        """An alert finds them, not only the log of a process that started long ago."""
        assert registry.get_sample_value("tooncrafter_redis_durable") == 1
        redis_server.client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert registry.get_sample_value("tooncrafter_redis_durable") == 0
        finally:
            redis_server.client.config_set("maxmemory-policy", "noeviction")

    def test_redis_that_is_away_leaves_no_zeros(self) -> None:
        """A queue of which nothing is known is not an empty queue."""
        registry = CollectorRegistry()
        registry.register(QueueMetrics("redis://127.0.0.1:1/0", max_queued=10_000))
        assert registry.get_sample_value("tooncrafter_redis_up") == 0
        assert (
            registry.get_sample_value("tooncrafter_queue_ready_jobs", {"priority": "batch"}) is None
        )


def test_redis_memory_beside_its_limit(
    registry: CollectorRegistry, redis_server: RedisServer
) -> None:
    """Its own limit, or else the memory of its machine."""
    value = registry.get_sample_value
    used = value("tooncrafter_redis_memory_bytes")
    assert used
    total = redis_server.client.info("memory")["total_system_memory"]
    assert value("tooncrafter_redis_memory_limit_bytes") == total
    redis_server.client.config_set("maxmemory", 2**30)
    try:
        assert value("tooncrafter_redis_memory_limit_bytes") == 2**30
    finally:
        redis_server.client.config_set("maxmemory", 0)


def test_queue_limit_is_the_setting(registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("tooncrafter_queue_limit_jobs") == 10_000
