"""Gateways and workers of neighbouring versions run side by side while a service is updated."""

import json
from collections.abc import Iterator

import pytest

from core.errors import Unavailable
from core.records.base import SCHEMA_VERSION
from core.records.job import JobState, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import claim, place, submit
from testkit.store.tenant_jobs import TenantJobs

NEXT = SCHEMA_VERSION + 1


def of_version(jobs: TenantJobs, schema: int) -> TenantJobs:
    """The same gateway as another version would be: it writes another number into its records."""
    return TenantJobs(jobs.redis, schema=schema)


@pytest.fixture
def next_worker(redis_server: RedisServer) -> Iterator[WorkerStore]:
    """A worker of the next version."""
    store = WorkerStore(redis_server.url, schema=NEXT)
    yield store
    store.close()


def add_what_only_the_next_version_knows(server: RedisServer, job_id: str) -> dict[str, str]:
    """A part of the record, and a field inside of one. Answers both as they are stored."""
    request = json.loads(server.client.hget(redis_keys.JOB + job_id, "request")) | {
        "line_art": True
    }
    added = {"review": '{"by": "layout"}', "request": json.dumps(request)}
    server.client.hset(redis_keys.JOB + job_id, mapping=added)
    return added


class TestNextVersion:
    async def test_its_jobs_are_shown(
        self, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """An old gateway answers for them, in the words it knows; it may also cancel and delete
        them.
        """
        job = await submit(of_version(async_store, NEXT))
        add_what_only_the_next_version_knows(redis_server, job.id)
        view = await async_store.read(job.id)
        assert view is not None
        assert (view.job, view.queue_position) == (job, 0)
        assert [
            listed.job.id for listed in await async_store.page(status=None, after=None, limit=5)
        ] == [job.id]
        canceled = await async_store.cancel(job.id)
        assert canceled is not None
        assert canceled.job.status is JobState.CANCELED

    async def test_its_jobs_are_left_to_its_workers(
        self, async_store: TenantJobs, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """An old worker skips them, and runs what waits behind them; nothing fails."""
        newer = await submit(of_version(async_store, NEXT))
        older = await submit(of_version(async_store, SCHEMA_VERSION))
        assert claim(store).job.id == older.id
        assert store.claim("old") is None
        assert await place(async_store, newer) == 0
        assert operator.count_ready(schema=NEXT) == 1

    async def test_what_it_added_is_kept(
        self,
        async_store: TenantJobs,
        next_worker: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """An old process rewrites no part of a record that it did not make."""
        job = await submit(of_version(async_store, NEXT))
        added = add_what_only_the_next_version_knows(redis_server, job.id)
        held = claim(next_worker)
        redis_server.client.zadd(redis_keys.LEASES, {job.id: 0})
        assert upkeep.recover_expired_leases()[:2] == ([held.job.id], [])
        assert upkeep.reconcile([job.id]) == []
        again = claim(next_worker)
        next_worker.succeed(again, [stored_output()], Timing(), MODEL)
        stored = redis_server.client.hgetall(redis_keys.JOB + job.id)
        assert {name: stored[name] for name in added} == added
        assert stored["status"] == "succeeded"

    async def test_words_that_only_it_knows(
        self, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """Such a job cannot be shown in truth; the caller is told to ask again and meets a new
        gateway.
        """
        job = await submit(of_version(async_store, NEXT))
        progress = {
            "stage": "upscaling",
            "step": 1,
            "steps": 4,
            "percent": 50.0,
            "eta_seconds": None,
        }
        redis_server.client.hset(redis_keys.JOB + job.id, "progress", json.dumps(progress))
        with pytest.raises(Unavailable, match="newer gateway"):
            await async_store.read(job.id)


class TestPreviousVersion:
    async def test_its_jobs_are_run_and_shown(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """Also those that lack the parts which are new since."""
        job = await submit(of_version(async_store, SCHEMA_VERSION - 1))
        redis_server.client.hdel(redis_keys.JOB + job.id, "uploads", "request_id", "traceparent")
        held = claim(store)
        assert (held.job.id, held.job.uploads) == (job.id, {})
        store.succeed(held, [stored_output()], Timing(), MODEL)
        view = await async_store.read(job.id)
        assert view is not None
        assert view.job.status is JobState.SUCCEEDED


class TestFartherVersions:
    async def test_neither_run_nor_shown(
        self, async_store: TenantJobs, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """Who skips a version at an update is told so, and the job waits for somebody who knows
        it.
        """
        job = await submit(of_version(async_store, NEXT + 1))
        with pytest.raises(Unavailable, match=f"has schema {NEXT + 1} but this process reads"):
            await async_store.read(job.id)
        assert operator.count_ready(schema=NEXT + 1) == 1
        assert store.claim("worker-1") is None
