"""Free slots and ready jobs to messages in a real queue."""

import json
from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.store import redis_keys
from core.store.broker import GENERATE_TASK, QUEUE
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from dispatcher.recovery import recover_lost_jobs
from dispatcher.scheduling import Scheduler
from testkit.jobs import MODEL, generation_request
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs


async def submit(
    store: TenantJobs, count: int = 1, ttl: timedelta = timedelta(hours=1)
) -> list[str]:
    job_ids = [new_job_id() for _ in range(count)]
    for job_id in job_ids:
        await store.submit(job_id, generation_request(), metadata={}, ttl=ttl, request_id="")
    return job_ids


@pytest.fixture
def scheduler(redis_server: RedisServer) -> Scheduler:
    return Scheduler(redis_server.url)


def messages(server: RedisServer) -> list[str]:
    """The task of each message in Celery's queue."""
    queued = server.client.lrange(redis_keys.PREFIX + QUEUE, 0, -1)
    return [json.loads(message)["headers"]["task"] for message in queued]


class TestMessages:
    async def test_one_for_each_free_slot_with_work(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        scheduler: Scheduler,
        redis_server: RedisServer,
    ) -> None:
        """As many as idle workers, and no more than jobs; a busy worker gets none."""
        for name in ("gpu-1", "gpu-2"):
            store.report_load(name, MODEL, load_seconds=1.0)
        store.report_load("gpu-3", MODEL, load_seconds=1.0)
        store.report("gpu-3", state="busy")
        assert scheduler.send_messages(upkeep) == 0
        await submit(async_store)
        assert scheduler.send_messages(upkeep) == 1
        await submit(async_store, 5)
        assert scheduler.send_messages(upkeep) == 1
        assert messages(redis_server) == [GENERATE_TASK] * 2

    async def test_none_without_a_worker(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        scheduler: Scheduler,
        redis_server: RedisServer,
    ) -> None:
        """Jobs wait in our own ready set, where priority and place count."""
        await submit(async_store, 3)
        assert scheduler.send_messages(upkeep) == 0
        assert messages(redis_server) == []

    async def test_no_second_while_the_first_is_on_its_way(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        scheduler: Scheduler,
    ) -> None:
        """The loop comes by each second, often before the worker did."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        await submit(async_store, 2)
        assert [scheduler.send_messages(upkeep) for _ in range(3)] == [1, 0, 0]

    async def test_lost_message_is_sent_again(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        scheduler: Scheduler,
        redis_server: RedisServer,
    ) -> None:
        """Celery on Redis loses one when a worker dies between taking and noting it."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        await submit(async_store)
        scheduler.send_messages(upkeep)
        redis_server.client.delete(redis_keys.PREFIX + QUEUE)
        assert scheduler.send_messages(upkeep) == 1

    async def test_stopping_worker_gets_none(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        scheduler: Scheduler,
    ) -> None:
        """It would not take it."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        store.ask_to_stop("gpu-1", timedelta(seconds=30))
        await submit(async_store)
        assert scheduler.send_messages(upkeep) == 0


class TestRecovery:
    async def test_job_of_a_vanished_worker_waits_again(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        operator: OperatorStore,
        store: WorkerStore,
        redis_server: RedisServer,
    ) -> None:
        """Told in the log by its id, and dispatched by the same sweep."""
        (job_id,) = await submit(async_store)
        store.claim("gpu-1")
        redis_server.client.zadd(redis_keys.LEASES, {job_id: 0})
        recover_lost_jobs(upkeep)
        job = store.get(job_id)
        assert job is not None
        assert (job.status, job.lost_leases) == ("queued", 1)
        assert operator.count_ready() == 1
