"""Who may write to a job: fences, leases that end, and what becomes of jobs whose workers
vanish.
"""

import time
from datetime import timedelta

import pytest

from core.errors import OutOfMemory, StaleClaim
from core.records.job import MAX_LOST_LEASES, JobState, Progress, Stage, Timing
from core.store import redis_keys
from core.store.constants import LEASE
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer, wait_until
from testkit.store.steps import claim, expire_lease, members, now_ms, submit
from testkit.store.tenant_jobs import TenantJobs


class TestFence:
    """A worker that was thought dead comes back to life and goes on writing."""

    @pytest.fixture
    async def stale(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> Claim:
        await submit(async_store)
        held = claim(store)
        expire_lease(redis_server, held.job.id)
        upkeep.recover_expired_leases()
        return held

    @pytest.mark.parametrize("taken_over", [False, True])
    def test_nothing_that_it_writes_counts(
        self, stale: Claim, store: WorkerStore, taken_over: bool
    ) -> None:
        """Not while the job waits again, and not once another worker has it."""
        if taken_over:
            claim(store, "worker-2")
        before = store.get(stale.job.id)
        news = Progress(stage=Stage.UPLOADING, step=4, steps=4, percent=99, eta_seconds=0)
        with pytest.raises(StaleClaim):
            store.renew(stale, news)
        with pytest.raises(StaleClaim):
            store.succeed(stale, [stored_output()], Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.fail(stale, OutOfMemory("too large"), Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.give_back(stale)
        assert store.get(stale.job.id) == before

    def test_its_successor_is_not_disturbed(self, stale: Claim, store: WorkerStore) -> None:
        """The second attempt ends as if there had never been a first."""
        successor = claim(store, "worker-2")
        with pytest.raises(StaleClaim):
            store.succeed(stale, [stored_output(b"late")], Timing(), MODEL)
        store.succeed(successor, [stored_output()], Timing(), MODEL)
        ended = store.get(stale.job.id)
        assert ended is not None
        assert ended.outputs == [stored_output()]

    async def test_end_told_twice_is_one_end(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Where the answer to a commit is lost, the worker commits again and has to hear yes."""
        await submit(async_store)
        held = claim(store)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        once = store.get(held.job.id)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        assert store.get(held.job.id) == once

    async def test_ended_job_cannot_end_otherwise(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Nor wait again."""
        await submit(async_store)
        held = claim(store)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.fail(held, OutOfMemory("too large"), Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.give_back(held)


class TestLostWorkers:
    async def test_lease_that_runs_is_left_alone(
        self, async_store: TenantJobs, store: WorkerStore, upkeep: DispatcherStore
    ) -> None:
        """A sweep in the middle of a job changes nothing."""
        await submit(async_store)
        held = claim(store)
        assert upkeep.recover_expired_leases()[:2] == ([], [])
        store.renew(held)

    async def test_lease_that_is_not_renewed_ends(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """By Redis's own clock, within the five seconds that callers are promised and the sweep."""
        assert timedelta(seconds=5) == LEASE
        monkeypatch.setattr("core.store.roles.worker.LEASE", timedelta(seconds=0.5))
        job = await submit(async_store)
        claim(store)
        begun = time.monotonic()
        wait_until(
            lambda: redis_server.client.zcount(redis_keys.LEASES, 0, now_ms(redis_server)),
            "the lease ends",
        )
        assert time.monotonic() - begun < LEASE.total_seconds()
        assert upkeep.recover_expired_leases()[:2] == ([job.id], [])

    async def test_lease_of_a_dead_process_ends_at_once(
        self, async_store: TenantJobs, store: WorkerStore, upkeep: DispatcherStore
    ) -> None:
        """Its parent saw it die; that counts as a loss all the same, so that no job kills workers
        for ever.
        """
        job = await submit(async_store)
        store.end_lease(claim(store))
        assert upkeep.recover_expired_leases()[:2] == ([job.id], [])
        again = store.get(job.id)
        assert again is not None
        assert (again.status, again.lost_leases) == (JobState.QUEUED, 1)

    async def test_lease_of_another_attempt_cannot_be_ended(
        self, async_store: TenantJobs, store: WorkerStore, upkeep: DispatcherStore
    ) -> None:
        await submit(async_store)
        dead = claim(store)
        store.end_lease(dead)
        upkeep.recover_expired_leases()
        claim(store, "worker-2")
        with pytest.raises(StaleClaim):
            store.end_lease(dead)
        assert upkeep.recover_expired_leases()[:2] == ([], [])

    async def test_dispatcher_wakes_when_a_lease_ends(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """It need not wait for its next sweep, which here would come in a minute."""
        job = await submit(async_store)
        claim(store)
        upkeep.wait_for_work(timedelta(seconds=1))  # the news of the submission
        redis_server.client.zadd(redis_keys.LEASES, {job.id: now_ms(redis_server) + 300})
        assert not upkeep.wait_for_work(timedelta(seconds=60))
        assert upkeep.recover_expired_leases()[:2] == ([job.id], [])

    async def test_third_loss_is_the_jobs_fault(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """A job that kills its workers must not go round for ever."""
        job = await submit(async_store)
        for loss in range(1, MAX_LOST_LEASES + 1):
            claim(store, f"worker-{loss}")
            expire_lease(redis_server, job.id)
            requeued, failed, _ = upkeep.recover_expired_leases()
            assert (requeued, failed) == (
                ([job.id], []) if loss < MAX_LOST_LEASES else ([], [job.id])
            )
        ended = store.get(job.id)
        assert ended is not None
        assert ended.status is JobState.FAILED
        assert ended.error is not None
        assert ended.error.code == "worker_lost"
        assert members(redis_server)[redis_keys.EXPIRY] == {job.id}
