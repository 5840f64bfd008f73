"""Workers that may not claim: drained by an operator, or with a device that broke down."""

from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.records.job import JobState
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, generation_request
from testkit.servers import RedisServer
from testkit.store.steps import claim, submit
from testkit.store.tenant_jobs import TenantJobs

FIRST, SECOND = "gpu-1:7", "gpu-2:8"


def load(store: WorkerStore, *workers: str) -> None:
    for worker in workers:
        store.report_load(worker, MODEL, load_seconds=1.0)


def states(store: WorkerStore, operator: OperatorStore) -> dict[str, str]:
    """As each worker's next beat finds it."""
    for worker in (FIRST, SECOND):
        store.report(worker, state="idle")
    return {worker.name: worker.state.value for worker in operator.workers()}


def sick(store: WorkerStore, held: Claim, worker: str, place: str | None = None) -> str:
    return store.report_sick(held, worker, place or f"{worker}/cuda:0", "illegal memory access")


def read(store: WorkerStore, job_id: str) -> tuple[JobState, int]:
    job = store.get(job_id)
    assert job is not None
    return job.status, job.lost_leases


class TestDrain:
    async def test_drained_worker_claims_nothing_until_resumed(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """From the same moment on, also where a message is on its way already."""
        load(store, FIRST, SECOND)
        job = await submit(async_store)
        operator.drain(FIRST)
        assert store.claim(FIRST) is None
        assert states(store, operator) == {FIRST: "paused", SECOND: "idle"}
        assert operator.resume(FIRST)
        assert states(store, operator)[FIRST] == "idle"
        assert claim(store, FIRST).job.id == job.id

    async def test_running_job_is_finished(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """The worker is shown as busy until then."""
        load(store, FIRST)
        await submit(async_store)
        held = claim(store, FIRST)
        operator.drain(FIRST)
        store.report(FIRST, state="busy")
        assert [worker.state for worker in operator.workers()] == ["busy"]
        store.renew(held)

    async def test_free_slot_wakes_the_dispatcher(
        self, store: WorkerStore, operator: OperatorStore, redis_server: RedisServer
    ) -> None:
        """A resumed worker waits for no sweep."""
        load(store, FIRST)
        operator.drain(FIRST)
        states(store, operator)
        redis_server.client.delete(redis_keys.WAKE)
        operator.resume(FIRST)
        states(store, operator)
        assert redis_server.client.llen(redis_keys.WAKE) == 1

    async def test_nothing_to_resume(self, operator: OperatorStore) -> None:
        """A worker that was not held, or is not there."""
        assert not operator.resume("gpu-9:9")


class TestPausedQueue:
    async def test_nobody_claims(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """Jobs are accepted and keep their places."""
        assert operator.pause_queue()
        assert not operator.pause_queue()
        first, second = await submit(async_store), await submit(async_store)
        assert store.claim(FIRST) is None
        assert operator.is_queue_paused()
        assert operator.resume_queue()
        assert not operator.is_queue_paused()
        assert [claim(store, worker).job.id for worker in (FIRST, SECOND)] == [first.id, second.id]


class TestPurge:
    async def test_waiting_jobs_are_canceled(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """And only those: a running one goes on."""
        running = await submit(async_store)
        held = claim(store)
        waiting = [await submit(async_store) for _ in range(3)]
        assert operator.purge() == [job.id for job in waiting]
        assert operator.purge() == []
        assert [read(store, job.id)[0] for job in waiting] == [JobState.CANCELED] * 3
        store.renew(held)
        assert read(store, running.id)[0] is JobState.RUNNING


class TestSickDevice:
    async def test_job_waits_again_and_nothing_counts_as_lost(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """One bad card cannot fail a queue: its worker claims nothing more, the others go on."""
        load(store, FIRST, SECOND)
        job = await submit(async_store)
        assert sick(store, claim(store, FIRST), FIRST) == "queued"
        assert read(store, job.id) == (JobState.QUEUED, 0)
        assert store.claim(FIRST) is None
        assert states(store, operator) == {FIRST: "quarantined", SECOND: "idle"}
        assert operator.workers()[0].reason == "illegal memory access"
        assert claim(store, SECOND).job.id == job.id

    async def test_operator_trusts_the_worker_again(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """`drain` meanwhile does not lift the quarantine."""
        load(store, FIRST, SECOND)
        await submit(async_store)
        sick(store, claim(store, FIRST), FIRST)
        operator.drain(FIRST)
        assert states(store, operator)[FIRST] == "quarantined"
        operator.resume(FIRST)
        assert states(store, operator)[FIRST] == "idle"

    async def test_job_under_which_a_second_device_breaks_is_to_blame(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """It fails, and neither card is lost to it."""
        load(store, FIRST, SECOND)
        job = await submit(async_store)
        sick(store, claim(store, FIRST), FIRST)
        assert sick(store, claim(store, SECOND), SECOND) == "failed"
        failed = store.get(job.id)
        assert failed is not None
        assert failed.error is not None
        assert (failed.status, failed.error.code) == (JobState.FAILED, "worker_lost")
        assert states(store, operator) == {FIRST: "idle", SECOND: "idle"}

    async def test_two_broken_cards_do_not_blame_one_job_after_the_other(
        self, store: WorkerStore, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """Within an hour a card is believed once that the job was to blame."""
        load(store, FIRST, SECOND)
        for _ in range(2):
            await submit(async_store)
            sick(store, claim(store, FIRST), FIRST)
            sick(store, claim(store, SECOND), SECOND)
        assert states(store, operator) == {FIRST: "quarantined", SECOND: "quarantined"}

    async def test_one_card_condemns_a_job_only_at_the_third_time(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """However often its worker restarts: host and device stay the same."""
        job = await submit(async_store)
        ends = []
        for pid in range(3):
            worker = f"gpu-1:{pid}"
            ends.append(sick(store, claim(store, worker), worker, "gpu-1/cuda:0"))
        assert ends == ["queued", "queued", "failed"]
        assert read(store, job.id) == (JobState.FAILED, 0)
        assert store.claim("gpu-1:2") is None

    async def test_job_that_is_to_be_canceled_ends_so(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Its caller was told."""
        job = await submit(async_store)
        held = claim(store, FIRST)
        await async_store.cancel(job.id)
        assert sick(store, held, FIRST) == "canceled"
        assert read(store, job.id)[0] is JobState.CANCELED

    @pytest.mark.parametrize("given_to_another", [True, False])
    async def test_worker_that_lost_its_job_is_quarantined_all_the_same(
        self,
        store: WorkerStore,
        upkeep: DispatcherStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
        given_to_another: bool,
    ) -> None:
        """The job is somebody else's by then, and stays it."""
        job = await submit(async_store)
        held = claim(store, FIRST)
        redis_server.client.zadd(redis_keys.LEASES, {job.id: 0})
        upkeep.recover_expired_leases()
        if given_to_another:
            claim(store, SECOND)
        before = store.get(job.id)
        assert sick(store, held, FIRST) == "stale"
        assert store.get(job.id) == before
        assert store.claim(FIRST) is None


class TestStopping:
    async def test_stopping_worker_claims_nothing(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """It would only give the job back."""
        load(store, FIRST)
        job_id = new_job_id()
        await async_store.submit(
            job_id, generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
        )
        store.ask_to_stop(FIRST, timedelta(seconds=30))
        assert store.claim(FIRST) is None
        assert read(store, job_id)[0] is JobState.QUEUED
