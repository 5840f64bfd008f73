"""Any order of events at the job store leaves every job in exactly the places that its state demands."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core import job_scripts as scripts
from core.errors import NumericalFailure, StaleClaim
from core.job import MAX_LOST_LEASES, TRANSITIONS, Job, JobState, Priority, Timing, new_job_id
from core.job_store import AsyncJobStore, Claim, JobStore
from tests.jobs import MODEL, generation_request, stored_output
from tests.servers import RedisServer


class JobStoreMachine(RuleBasedStateMachine):
    """Clients, workers and a dispatcher take turns; workers may hold claims long after they lost them."""

    server: RedisServer
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}  # as last seen
        self.valid: dict[str, Claim] = {}  # the claim that may write, by job
        self.lost: dict[str, int] = {}

    @initialize()
    def begin_empty(self) -> None:
        self.server.client.flushall()
        self.store = JobStore(self.server.url)
        self.loop = asyncio.new_event_loop()
        self.gateway = AsyncJobStore(self.server.url)

    def teardown(self) -> None:
        self.loop.run_until_complete(self.gateway.close())
        self.loop.close()
        self.store._redis.close()

    @rule(priority=st.sampled_from(Priority))
    def submit(self, priority: Priority) -> None:
        job = self.loop.run_until_complete(
            self.gateway.submit(
                new_job_id(), generation_request(priority), metadata={}, ttl=timedelta(hours=1), request_id=""
            )
        )
        self.jobs[job.id] = job
        self.lost[job.id] = 0

    @rule(target=claims, worker=st.sampled_from(["a", "b"]))
    def claim(self, worker: str) -> Claim | object:
        waiting = [job for job in self.jobs.values() if job.status is JobState.QUEUED]
        held = self.store.claim(worker)
        assert (held is None) == (not waiting)
        if held is None:
            return multiple()
        best = min(waiting, key=lambda job: (list(Priority).index(job.request.priority), job.created_at, job.id))
        assert held.job.id == best.id
        self.valid[held.job.id] = held
        return held

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        self._write(claim, lambda: self.store.renew(claim))

    @rule(claim=consumes(claims))
    def succeed(self, claim: Claim) -> None:
        self._end(claim, lambda: self.store.succeed(claim, [stored_output()], Timing(), MODEL))

    @rule(claim=consumes(claims))
    def fail(self, claim: Claim) -> None:
        self._end(claim, lambda: self.store.fail(claim, NumericalFailure("NaN"), Timing(), MODEL))

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        self._end(claim, lambda: self.store.give_back(claim))

    @rule(data=st.data())
    def let_leases_end(self, data: st.DataObject) -> None:
        """The dispatcher sweeps after some workers fell silent."""
        running = sorted(self.valid)
        silent = data.draw(st.lists(st.sampled_from(running), unique=True)) if running else []
        for job_id in silent:
            self.server.client.zadd(scripts.LEASES, {job_id: 0}, xx=True)
        requeued, failed = self.store.recover_expired_leases()
        assert sorted(requeued + failed) == sorted(silent)
        for job_id in silent:
            del self.valid[job_id]
            self.lost[job_id] += 1
            assert (job_id in failed) == (self.lost[job_id] == MAX_LOST_LEASES)

    def _write(self, claim: Claim, write: Callable[[], None]) -> None:
        """Accepted from the one valid claim of the job, refused from every other."""
        if self.valid.get(claim.job.id) is claim:
            write()
        else:
            with pytest.raises(StaleClaim):
                write()

    def _end(self, claim: Claim, write: Callable[[], None]) -> None:
        self._write(claim, write)
        if self.valid.get(claim.job.id) is claim:
            del self.valid[claim.job.id]

    @invariant()
    def every_record_is_right(self) -> None:
        self._only_allowed_transitions()
        self._each_job_in_exactly_its_sets()

    def _only_allowed_transitions(self) -> None:
        """Also: an ended job never changes, and a change raises the version."""
        for job_id, before in self.jobs.items():
            after = self.store.get(job_id)
            assert after is not None
            if after.status is not before.status:
                assert after.status in TRANSITIONS[before.status]
            assert (after.version > before.version) == (after != before)
            if before.status.is_final:
                assert after == before
            assert (after.status is JobState.RUNNING) == (job_id in self.valid)
            self.jobs[job_id] = after

    def _each_job_in_exactly_its_sets(self) -> None:
        client = self.server.client
        expected: dict[str, set[str]] = {key: set() for key in (*scripts.READY_KEYS, scripts.LEASES, scripts.EXPIRY)}
        for job in self.jobs.values():
            place = {JobState.QUEUED: scripts.READY + job.request.priority.value, JobState.RUNNING: scripts.LEASES}
            expected[place.get(job.status, scripts.EXPIRY)].add(job.id)
        assert {key: set(client.zrange(key, 0, -1)) for key in expected} == expected
        assert set(client.zrange(scripts.JOBS, 0, -1)) == set(self.jobs)


@pytest.fixture
def machine(redis_server: RedisServer) -> type[JobStoreMachine]:
    JobStoreMachine.server = redis_server
    return JobStoreMachine


def test_any_order_of_events(machine: type[JobStoreMachine]) -> None:
    """Submit, claim, renew, end, give back and lose in any order."""
    limits = settings(
        max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    run_state_machine_as_test(machine, settings=limits)
