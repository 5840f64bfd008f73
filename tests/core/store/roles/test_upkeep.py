"""What the dispatcher keeps in order: it is woken, forgets what is over, and puts right what no
step leaves wrong.
"""

import asyncio
import itertools
import time
from datetime import timedelta

from core.records.ids import new_job_id
from core.records.job import JobState, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import BATCH, DispatcherStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import JOBS, claim, members, submit
from testkit.store.tenant_jobs import TenantJobs

MOMENT = timedelta(milliseconds=1)


def audit(upkeep: DispatcherStore) -> dict[str, set[str]]:
    """One walk over all jobs: what was repaired, by job."""
    repairs: dict[str, set[str]] = {}
    for found_in, job_ids in upkeep.known_jobs():
        for repair in upkeep.reconcile(job_ids, found_in):
            repairs.setdefault(repair.job_id, set()).add(repair.kind)
    upkeep.tidy_lanes()
    return repairs


def sets(server: RedisServer) -> dict[str, dict[str, float]]:
    """Every set of jobs with its scores, but for the leases', which follow the clock."""
    found = {}
    for key in server.client.scan_iter(match=f"{redis_keys.PREFIX}*", _type="zset"):
        found[key] = dict(server.client.zrange(key, 0, -1, withscores=True))
    return {
        key: dict.fromkeys(scores) if key == redis_keys.LEASES else scores
        for key, scores in found.items()
    }


class TestWaking:
    async def test_new_work_wakes_the_dispatcher(
        self, async_store: TenantJobs, upkeep: DispatcherStore
    ) -> None:
        """It is seen at once and not by the next sweep; the wait returns long before its time is
        over.
        """
        begun = time.monotonic()
        await submit(async_store)
        upkeep.wait_for_work(timedelta(seconds=1.9))
        assert time.monotonic() - begun < 1.5


class TestExpiry:
    async def test_only_ended_jobs_past_their_time(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        redis_server: RedisServer,
    ) -> None:
        """A job that still runs is not deleted under its worker, whatever its time to live says."""
        for _ in range(2):
            await async_store.submit(
                new_job_id(), generation_request(), metadata={}, ttl=MOMENT, request_id=""
            )
        running, ended = claim(store), claim(store)
        store.succeed(ended, [stored_output()], Timing(), MODEL)
        fresh = await submit(async_store)
        store.succeed(claim(store), [stored_output()], Timing(), MODEL)
        await asyncio.sleep(0.01)
        assert upkeep.sweep_expired() == [ended.job.id]
        assert store.get(ended.job.id) is None
        assert members(redis_server)[JOBS] == {running.job.id, fresh.id}
        assert upkeep.sweep_expired() == [ended.job.id], "until its objects are gone"

        upkeep.emptied(ended.job.id)
        assert upkeep.sweep_expired() == []
        assert members(redis_server)[redis_keys.TRASH] == set()

    async def test_what_resists_comes_later(
        self, upkeep: DispatcherStore, redis_server: RedisServer
    ) -> None:
        """And keeps no other waiting."""
        redis_server.client.zadd(redis_keys.TRASH, {"itp_a": 1, "itp_b": 2})
        assert upkeep.sweep_expired(limit=1) == ["itp_a"]
        now_seconds = redis_server.client.time()[0]
        upkeep.postpone("itp_a", timedelta(seconds=now_seconds + 60))
        assert upkeep.sweep_expired() == ["itp_b"]


class TestReconcile:
    async def jobs_in_every_state(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> dict[JobState, str]:
        succeeded, running, queued, canceled = [(await submit(async_store)).id for _ in range(4)]
        await async_store.cancel(canceled)
        store.succeed(claim(store), [stored_output()], Timing(), MODEL)
        claim(store)
        return {
            JobState.SUCCEEDED: succeeded,
            JobState.RUNNING: running,
            JobState.QUEUED: queued,
            JobState.CANCELED: canceled,
        }

    async def test_jobs_in_order_are_left_alone(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """In whatever state."""
        await self.jobs_in_every_state(async_store, store)
        before = sets(redis_server)
        assert audit(upkeep) == {}
        assert sets(redis_server) == before

    async def test_whatever_is_missing_or_too_many(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """Take each job out of each of its sets, and put it into each other one: one walk restores
        all.
        """
        jobs = await self.jobs_in_every_state(async_store, store)
        right = sets(redis_server)
        client = redis_server.client
        for job_id, key in itertools.product(jobs.values(), right):
            if job_id in right[key]:
                client.zrem(key, job_id)
            else:
                client.zadd(key, {job_id: 5})
            assert set(audit(upkeep)) == {job_id}, f"{job_id} in {key}"
            assert sets(redis_server) == right

    async def test_everything_at_once(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        redis_server: RedisServer,
    ) -> None:
        """All sets are lost, the records are there: the next walk rebuilds them, and work goes
        on.
        """
        jobs = await self.jobs_in_every_state(async_store, store)
        right = sets(redis_server)
        redis_server.client.delete(*right, *redis_server.client.keys(f"{redis_keys.DEMANDED}*"))
        audit(upkeep)
        assert sets(redis_server) == right
        assert claim(store).job.id == jobs[JobState.QUEUED]

    async def test_names_without_a_record(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        store: WorkerStore,
        redis_server: RedisServer,
    ) -> None:
        """They would be claimed for ever."""
        job = await submit(async_store)
        redis_server.client.delete(redis_keys.JOB + job.id)
        assert set(audit(upkeep)) == {job.id}
        assert {key for key, found in sets(redis_server).items() if found} == set()
        assert store.claim("worker-1") is None

    async def test_state_of_a_later_version_is_left_alone(
        self, async_store: TenantJobs, upkeep: DispatcherStore, redis_server: RedisServer
    ) -> None:
        """Its own dispatcher knows where such a job belongs."""
        job = await submit(async_store)
        redis_server.client.hset(redis_keys.JOB + job.id, "status", "paused")
        before = sets(redis_server)
        assert audit(upkeep) == {}
        assert sets(redis_server) == before

    async def test_more_jobs_than_one_batch(
        self, upkeep: DispatcherStore, redis_server: RedisServer
    ) -> None:
        """The walk sees all of them."""
        ids = {new_job_id() for _ in range(3 * BATCH)}
        redis_server.client.zadd(JOBS, dict.fromkeys(ids, 0))
        assert set(audit(upkeep)) == ids


class TestCondemn:
    async def test_only_what_has_no_record(
        self, async_store: TenantJobs, upkeep: DispatcherStore, redis_server: RedisServer
    ) -> None:
        """What waits in the trash already, such as a submission that is just stored, keeps its
        time.
        """
        job, unknown, reserved = await submit(async_store), new_job_id(), new_job_id()
        redis_server.client.zadd(redis_keys.TRASH, {reserved: 1e15})
        assert upkeep.condemn(redis_keys.JOB, [job.id, unknown, reserved]) == [unknown]
        assert upkeep.sweep_expired() == [unknown]
