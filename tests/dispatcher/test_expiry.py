"""What is over goes: records first, then objects, and nothing that resists keeps the rest
waiting.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from core.errors import Unavailable
from core.objects.object_keys import job_prefix
from core.objects.storage import ObjectStorage, open_storage
from core.records.ids import new_job_id
from core.records.job import Timing
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import BATCH, DispatcherStore
from core.store.roles.worker import WorkerStore
from dispatcher.expiry import FAILURES_IN_A_ROW, Expiry
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer, free_port
from testkit.store.steps import claim
from testkit.store.tenant_jobs import TenantJobs

BRIEF = timedelta(milliseconds=1)


async def ended_job(jobs: TenantJobs, store: WorkerStore) -> str:
    """A job whose time is over."""
    job_id = new_job_id()
    await jobs.submit(job_id, generation_request(), metadata={}, ttl=BRIEF, request_id="")
    store.succeed(claim(store), [stored_output()], Timing(), MODEL)
    return job_id


def put_input(storage: ObjectStorage, job_id: str) -> None:
    storage.put(f"{job_prefix(job_id)}inputs/a", b"x", "image/png")


def expire(upkeep: DispatcherStore, storage: ObjectStorage) -> None:
    Expiry(upkeep, storage, Event()).run()


def throw_away(server: RedisServer, job_ids: Iterable[str]) -> None:
    """As if these had been deleted long ago, the first of them first."""
    server.client.zadd(redis_keys.TRASH, {job_id: place for place, job_id in enumerate(job_ids)})


async def test_objects_and_record_go(
    async_store: TenantJobs,
    upkeep: DispatcherStore,
    store: WorkerStore,
    storage: ObjectStorage,
    any_settings: Settings,
    stored_keys: Callable[[], set[str]],
) -> None:
    """Of what is past its time, and of nothing else."""
    old = await ended_job(async_store, store)
    running = new_job_id()
    await async_store.submit(running, generation_request(), metadata={}, ttl=BRIEF, request_id="")
    claim(store)
    for job_id in (old, running):
        put_input(storage, job_id)
    expire(upkeep, storage)
    assert store.get(old) is None
    assert store.get(running) is not None
    assert stored_keys() == {f"{job_prefix(running)}inputs/a"}


async def test_one_run_takes_all_that_is_due(
    upkeep: DispatcherStore, redis_server: RedisServer, settings: Settings
) -> None:
    """However many that are: after a busy week a batch per run would never come to its end."""
    throw_away(redis_server, (new_job_id() for _ in range(2 * BATCH + 1)))
    expire(upkeep, open_storage(settings))
    assert redis_server.client.zcard(redis_keys.TRASH) == 0


async def test_absent_storage_forgets_nothing(
    async_store: TenantJobs,
    upkeep: DispatcherStore,
    store: WorkerStore,
    s3_settings: Settings,
    stored_keys: Callable[[], set[str]],
) -> None:
    """The record goes, and the objects are deleted when the storage is back and their delay
    over.
    """
    jobs = [await ended_job(async_store, store) for _ in range(FAILURES_IN_A_ROW)]
    for job_id in jobs:
        put_input(open_storage(s3_settings), job_id)
    away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(Unavailable):
        expire(upkeep, open_storage(away))
    assert [store.get(job_id) for job_id in jobs] == [None] * len(jobs)
    assert len(stored_keys()) == len(jobs)
    for job_id in jobs:
        upkeep.postpone(job_id, -timedelta(hours=1))
    expire(upkeep, open_storage(s3_settings))
    assert stored_keys() == set()
    assert upkeep.sweep_expired() == []


async def test_one_that_resists_keeps_no_other_waiting(
    upkeep: DispatcherStore, redis_server: RedisServer, settings: Settings, tmp_path: Path
) -> None:
    """It is tried again later, each time after twice the delay."""
    resists, other = new_job_id(), new_job_id()
    folder = settings.state_dir / "objects" / "jobs"
    folder.mkdir(parents=True)
    (folder / resists).write_text("a file stands where a folder should")
    throw_away(redis_server, [resists, other])
    expiry = Expiry(upkeep, open_storage(settings), Event())
    delays = []
    for _ in range(2):
        before = redis_server.client.zscore(redis_keys.TRASH, resists)
        expiry.run()
        assert redis_server.client.zscore(redis_keys.TRASH, other) is None
        delays.append(redis_server.client.zscore(redis_keys.TRASH, resists) - before)
        redis_server.client.zadd(redis_keys.TRASH, {resists: 0})
    assert delays[1] == 2 * delays[0]


async def test_stop_ends_it_between_two(
    upkeep: DispatcherStore, redis_server: RedisServer, settings: Settings
) -> None:
    """A process that is told to stop does not empty the trash first."""
    throw_away(redis_server, [new_job_id()])
    stop = Event()
    stop.set()
    Expiry(upkeep, open_storage(settings), stop).run()
    assert redis_server.client.zcard(redis_keys.TRASH) == 1
