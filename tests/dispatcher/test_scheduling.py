"""Free slots and ready jobs to messages in a real queue."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from core import keys
from core.errors import Unavailable
from core.job import Timing, new_job_id
from core.job_store import JobStore
from core.job_store_async import AsyncJobStore
from core.queue import GENERATE_TASK, QUEUE
from core.settings import Settings
from core.storage import ObjectStorage, open_storage
from dispatcher.expiry import delete_expired_jobs
from dispatcher.recovery import recover_lost_jobs
from dispatcher.scheduling import Scheduler
from tests.jobs import MODEL, generation_request, stored_output
from tests.servers import RedisServer, free_port


async def submit(store: AsyncJobStore, count: int = 1, ttl: timedelta = timedelta(hours=1)) -> list[str]:
    job_ids = [new_job_id() for _ in range(count)]
    for job_id in job_ids:
        await store.submit(job_id, generation_request(), metadata={}, ttl=ttl, request_id="")
    return job_ids


@pytest.fixture
def scheduler(redis_server: RedisServer) -> Scheduler:
    return Scheduler(redis_server.url)


def messages(server: RedisServer) -> list[str]:
    """The task of each message in Celery's queue."""
    queued = server.client.lrange(keys.PREFIX + QUEUE, 0, -1)
    return [json.loads(message)["headers"]["task"] for message in queued]


class TestMessages:
    async def test_one_for_each_free_slot_with_work(
        self, async_store: AsyncJobStore, store: JobStore, scheduler: Scheduler, redis_server: RedisServer
    ) -> None:
        """As many as idle workers, and no more than jobs; a busy worker gets none."""
        for name in ("gpu-1", "gpu-2"):
            store.report_load(name, MODEL, load_seconds=1.0)
        store.report_load("gpu-3", MODEL, load_seconds=1.0)
        store.report("gpu-3", state="busy")
        assert scheduler.send_messages(store) == 0
        await submit(async_store)
        assert scheduler.send_messages(store) == 1
        await submit(async_store, 5)
        assert scheduler.send_messages(store) == 1
        assert messages(redis_server) == [GENERATE_TASK] * 2

    async def test_none_without_a_worker(
        self, async_store: AsyncJobStore, store: JobStore, scheduler: Scheduler, redis_server: RedisServer
    ) -> None:
        """Jobs wait in our own ready set, where priority and place count."""
        await submit(async_store, 3)
        assert scheduler.send_messages(store) == 0
        assert messages(redis_server) == []

    async def test_no_second_while_the_first_is_on_its_way(
        self, async_store: AsyncJobStore, store: JobStore, scheduler: Scheduler
    ) -> None:
        """The loop comes by each second, often before the worker did."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        await submit(async_store, 2)
        assert [scheduler.send_messages(store) for _ in range(3)] == [1, 0, 0]

    async def test_lost_message_is_sent_again(
        self, async_store: AsyncJobStore, store: JobStore, scheduler: Scheduler, redis_server: RedisServer
    ) -> None:
        """Celery on Redis loses one when a worker dies between taking and noting it."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        await submit(async_store)
        scheduler.send_messages(store)
        redis_server.client.delete(keys.PREFIX + QUEUE)
        assert scheduler.send_messages(store) == 1

    async def test_stopping_worker_gets_none(
        self, async_store: AsyncJobStore, store: JobStore, scheduler: Scheduler
    ) -> None:
        """It would not take it."""
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        store.ask_to_stop("gpu-1", timedelta(seconds=30))
        await submit(async_store)
        assert scheduler.send_messages(store) == 0


class TestRecovery:
    async def test_job_of_a_vanished_worker_waits_again(
        self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer
    ) -> None:
        """Told in the log by its id, and dispatched by the same sweep."""
        (job_id,) = await submit(async_store)
        store.claim("gpu-1")
        redis_server.client.zadd(keys.LEASES, {job_id: 0})
        recover_lost_jobs(store)
        job = store.get(job_id)
        assert job is not None
        assert (job.status, job.lost_leases) == ("queued", 1)
        assert store.count_ready() == 1


class TestExpiry:
    async def test_objects_and_record_go(
        self,
        async_store: AsyncJobStore,
        store: JobStore,
        storage: ObjectStorage,
        any_settings: Settings,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """Of what is past its time, and of nothing else."""
        (old,) = await submit(async_store, ttl=timedelta(milliseconds=1))
        (running,) = await submit(async_store, ttl=timedelta(milliseconds=1))
        for job_id in (old, running):
            storage.put(f"jobs/{job_id}/inputs/a", b"x", "image/png")
        claims = {claim.job.id: claim for claim in (store.claim("gpu-1"), store.claim("gpu-2")) if claim}
        store.succeed(claims[old], [stored_output()], Timing(), MODEL)
        delete_expired_jobs(store, storage)
        assert store.get(old) is None
        assert store.get(running) is not None
        assert stored_keys() == {f"jobs/{running}/inputs/a"}

    async def test_objects_that_cannot_be_deleted_now_are_deleted_later(
        self, async_store: AsyncJobStore, store: JobStore, s3_settings: Settings, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Storage is away when a job's time comes: the record goes, and the objects are not forgotten."""
        (job_id,) = await submit(async_store, ttl=timedelta(milliseconds=1))
        claim = store.claim("gpu-1")
        assert claim is not None
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        open_storage(s3_settings).put(f"jobs/{job_id}/inputs/a", b"x", "image/png")
        away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        with pytest.raises(Unavailable):
            delete_expired_jobs(store, open_storage(away))
        assert store.get(job_id) is None
        assert stored_keys()
        delete_expired_jobs(store, open_storage(s3_settings))
        assert stored_keys() == set()
        assert store.sweep_expired() == []
