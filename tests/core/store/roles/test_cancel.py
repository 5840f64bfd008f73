"""The end of a job that its caller wants no more, whichever way it takes, in a real Redis."""

import pytest

from core.errors import CancelRequested, OutOfMemory
from core.records.job import MAX_LOST_LEASES, JobState, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import JOBS, claim, expire_lease, members, submit
from testkit.store.tenant_jobs import TenantJobs


class TestCancel:
    @pytest.fixture
    async def unwanted(self, async_store: TenantJobs, store: WorkerStore) -> Claim:
        job = await submit(async_store)
        held = claim(store)
        await async_store.cancel(job.id)
        return held

    def test_worker_hears_of_it_and_keeps_its_lease(
        self,
        unwanted: Claim,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """No other worker takes the job in between."""
        redis_server.client.zadd(redis_keys.LEASES, {unwanted.job.id: 1}, xx=True)
        with pytest.raises(CancelRequested):
            store.renew(unwanted)
        assert upkeep.recover_expired_leases()[:2] == ([], [])

    @pytest.mark.parametrize("losses_before", range(MAX_LOST_LEASES))
    def test_lost_lease_ends_it(
        self,
        unwanted: Claim,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
        losses_before: int,
    ) -> None:
        """It is not run again, and its last lost lease does not fail it."""
        redis_server.client.hset(redis_keys.JOB + unwanted.job.id, "lost_leases", losses_before)
        expire_lease(redis_server, unwanted.job.id)
        assert upkeep.recover_expired_leases()[:2] == ([], [])
        self._ended_as_canceled(unwanted.job.id, store, redis_server)

    def test_given_back_it_ends(
        self, unwanted: Claim, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """A worker that stops need not know what its caller wished."""
        store.give_back(unwanted)
        self._ended_as_canceled(unwanted.job.id, store, redis_server)

    @pytest.mark.parametrize("end", ["succeed", "fail", "end_canceled"])
    def test_whatever_its_worker_tells_it_ends_as_canceled(
        self, unwanted: Claim, store: WorkerStore, redis_server: RedisServer, end: str
    ) -> None:
        """Its caller was told so. Told twice it is one end."""
        ends = {
            "succeed": lambda: store.succeed(unwanted, [stored_output()], Timing(), MODEL),
            "fail": lambda: store.fail(unwanted, OutOfMemory("too large"), Timing(), MODEL),
            "end_canceled": lambda: store.end_canceled(unwanted, Timing(), MODEL),
        }
        for _ in range(2):
            ends[end]()
            self._ended_as_canceled(unwanted.job.id, store, redis_server)

    def _ended_as_canceled(self, job_id: str, store: WorkerStore, server: RedisServer) -> None:
        job = store.get(job_id)
        assert job is not None
        assert (job.status, job.outputs, job.error) == (JobState.CANCELED, [], None)
        assert job.version == 4  # queued, running, cancel requested, canceled
        places = {key for key, ids in members(server).items() if job_id in ids}
        assert places == {JOBS, redis_keys.EXPIRY}
