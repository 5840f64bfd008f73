"""Events at the job store in any order, and where every job has to be after each."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from core.errors import CancelRequested, NumericalFailure, StaleClaim
from core.records.ids import new_job_id
from core.records.job import MAX_LOST_LEASES, TRANSITIONS, Job, JobState, Timing
from core.records.offer import Engine, Offer
from core.records.request import Priority
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.gateway import Deletion, Outcome, SubmissionResult
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.cast import MODELS, TENANTS
from testkit.store.places import are_likely_places, notes_of, sorted_sets_of
from testkit.store.steps import canvas_pixels
from testkit.store.tenant_jobs import TenantJobs


class JobStoreMachine(RuleBasedStateMachine):
    """Lets clients of three tenants, workers and a dispatcher take turns in any order."""

    server: RedisServer
    claims: Bundle[Claim] = Bundle("claims")  # a worker may use one after it lost it

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}  # as last seen
        self.valid: dict[str, Claim] = {}  # the claim that may write, by job
        self.lost: dict[str, int] = {}
        self.unwanted: set[str] = set()  # running, and to be canceled
        self.deleted: set[str] = set()

    @initialize()
    def begin_empty(self) -> None:
        self.server.client.flushall()
        self.workers = {
            model: WorkerStore(self.server.url, offer=Offer.of_setting(model) if model else None)
            for model in MODELS
        }
        self.store = self.workers[""]
        self.dispatcher = DispatcherStore(self.server.url)
        self.operator = OperatorStore(self.server.url)
        self.loop = asyncio.new_event_loop()
        self.connection = TenantJobs(self.server.url)
        self.gateways = {
            tenant: self.connection.of_tenant(tenant, limits) for tenant, limits in TENANTS.items()
        }

    def teardown(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.close()
        for store in (*self.workers.values(), self.dispatcher, self.operator):
            store.close()

    @rule(
        tenant=st.sampled_from(sorted(TENANTS)),
        priority=st.sampled_from(Priority),
        side=st.sampled_from([128, 192, 256]),
        model=st.sampled_from(list(MODELS)),
    )
    def submit(self, tenant: str, priority: Priority, side: int, model: str) -> None:
        request = generation_request(priority, width=side, height=side, model=model or None)
        submission = self.loop.run_until_complete(
            self.gateways[tenant].submit(
                new_job_id(), request, metadata={}, ttl=timedelta(hours=1), request_id=""
            )
        )
        limits = TENANTS[tenant]
        if limits and len(self._jobs(tenant, JobState.QUEUED)) == limits.max_queued:
            assert submission == SubmissionResult(Outcome.TOO_MANY, None)
            return
        assert submission.view is not None
        job = submission.view.job
        assert job.tenant == tenant
        self.jobs[job.id] = job
        self.lost[job.id] = 0

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self.jobs:
            return
        before = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        view = self.loop.run_until_complete(self.gateways[before.tenant].cancel(before.id))
        assert view is not None
        if before.status is JobState.QUEUED:
            assert view.job.status is JobState.CANCELED
        elif before.status is JobState.RUNNING and before.id not in self.unwanted:
            asked_at = view.job.cancel_requested_at
            assert asked_at is not None
            change = {"version": before.version + 1, "cancel_requested_at": asked_at}
            assert view.job == before.model_copy(update=change)
            self.unwanted.add(before.id)
        else:
            assert view.job == before

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if not self.jobs:
            return
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        gateway = self.gateways[job.tenant]
        outcome = self.loop.run_until_complete(gateway.delete(job.id))
        if not job.status.is_final:
            assert outcome is Deletion.NOT_FINISHED
            return
        assert outcome is Deletion.DONE
        assert self.loop.run_until_complete(gateway.delete(job.id)) is Deletion.NOT_FOUND
        del self.jobs[job.id]
        self.deleted.add(job.id)

    @rule(
        target=claims,
        worker=st.sampled_from(["a", "b"]),
        largest=st.sampled_from([None, 192**2, 64**2]),
        model=st.sampled_from(list(MODELS)),
    )
    def claim(self, worker: str, largest: int | None, model: str) -> Claim | object:
        wanted = {model} if MODELS[model] is Engine.PREVIEW else {model, ""}
        queued = (job for job in self.jobs.values() if job.status is JobState.QUEUED)
        waiting = [
            job
            for job in queued
            if self._may_start(job.tenant)
            and (largest is None or canvas_pixels(job) <= largest)
            and (job.request.model or "") in wanted
        ]
        ready = self.operator.count_ready(largest, engine=MODELS[model], model=model)
        assert (ready > 0) == bool(waiting)
        held = self.workers[model].claim(worker, largest)
        assert (held is None) == (not waiting)
        if held is None:
            return multiple()
        lane = min((job.request.priority for job in waiting), key=list(Priority).index)
        in_lane = [job for job in waiting if job.request.priority is lane]
        own = [job for job in in_lane if job.tenant == held.job.tenant]
        assert held.job.id == min(own, key=lambda job: (job.created_at, job.id)).id
        assert self._running(held.job.tenant) == min(self._running(job.tenant) for job in in_lane)
        self.valid[held.job.id] = held
        return held

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        if self._is_valid(claim) and claim.job.id in self.unwanted:
            with pytest.raises(CancelRequested):
                self.store.renew(claim)
        else:
            self._write(claim, lambda: self.store.renew(claim))

    @rule(claim=consumes(claims))
    def succeed(self, claim: Claim) -> None:
        self._finish(claim, lambda: self.store.succeed(claim, [stored_output()], Timing(), MODEL))

    @rule(claim=consumes(claims))
    def fail(self, claim: Claim) -> None:
        error = NumericalFailure("NaN")
        self._finish(claim, lambda: self.store.fail(claim, error, Timing(), MODEL))

    @rule(claim=consumes(claims))
    def end_canceled(self, claim: Claim) -> None:
        if claim.job.id in self.unwanted:
            self._finish(claim, lambda: self.store.end_canceled(claim, Timing(), MODEL))

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        self._write(claim, lambda: self.store.give_back(claim))
        self._let_go(claim)

    @rule(data=st.data())
    def let_leases_end(self, data: st.DataObject) -> None:
        """The dispatcher sweeps after some workers fell silent."""
        running = sorted(self.valid)
        silent = data.draw(st.lists(st.sampled_from(running), unique=True)) if running else []
        for job_id in silent:
            self.server.client.zadd(redis_keys.LEASES, {job_id: 0}, xx=True)
        requeued, failed, _ = self.dispatcher.recover_expired_leases()
        assert sorted(requeued + failed) == sorted(set(silent) - self.unwanted)
        for job_id in silent:
            self.lost[job_id] += 1
            too_many = self.lost[job_id] == MAX_LOST_LEASES
            assert (job_id in failed) == (too_many and job_id not in self.unwanted)
            self._let_go(self.valid[job_id])

    @rule(data=st.data(), tenant=st.sampled_from(sorted(TENANTS)))
    def pry(self, data: st.DataObject, tenant: str) -> None:
        """Another tenant's job is not there, and stays as it is."""
        others = sorted(job.id for job in self.jobs.values() if job.tenant != tenant)
        if not others:
            return
        job_id, gateway = data.draw(st.sampled_from(others)), self.gateways[tenant]
        assert self.loop.run_until_complete(gateway.read(job_id)) is None
        assert self.loop.run_until_complete(gateway.cancel(job_id)) is None
        assert self.loop.run_until_complete(gateway.delete(job_id)) is Deletion.NOT_FOUND

    def _jobs(self, tenant: str, status: JobState) -> list[Job]:
        return [job for job in self.jobs.values() if (job.tenant, job.status) == (tenant, status)]

    def _running(self, tenant: str) -> int:
        return len(self._jobs(tenant, JobState.RUNNING))

    def _may_start(self, tenant: str) -> bool:
        limits = TENANTS[tenant]
        most = limits.max_running if limits else None
        return most is None or self._running(tenant) < most

    def _is_valid(self, claim: Claim) -> bool:
        return self.valid.get(claim.job.id) is claim

    def _write(self, claim: Claim, write: Callable[[], None]) -> None:
        """Accepted from the one valid claim of the job, refused from every other."""
        if self._is_valid(claim):
            write()
        else:
            with pytest.raises(StaleClaim):
                write()

    def _finish(self, claim: Claim, write: Callable[[], None]) -> None:
        """As `_write`; but a job that was canceled in this attempt takes any further end."""
        job = self.jobs.get(claim.job.id)
        if job and (job.status, job.fence) == (JobState.CANCELED, claim.job.fence):
            write()
        else:
            self._write(claim, write)
        self._let_go(claim)

    def _let_go(self, claim: Claim) -> None:
        """A valid claim ends here, and with it a running job that its caller wants no more."""
        if self._is_valid(claim):
            del self.valid[claim.job.id]
            if claim.job.id in self.unwanted:
                job = self.store.get(claim.job.id)
                assert (job.status, job.outputs) == (JobState.CANCELED, [])

    @invariant()
    def every_record_is_right(self) -> None:
        self._only_allowed_transitions()
        self._each_job_in_exactly_its_sets()
        self._each_tenant_sees_its_jobs()

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
        expected: defaultdict[str, set[str]] = defaultdict(set)
        noted: defaultdict[str, set[str]] = defaultdict(set)
        for job in self.jobs.values():
            for key in sorted_sets_of(job):
                expected[key].add(job.id)
            for key, note in notes_of(job).items():
                noted[key].add(note)
        if self.deleted:
            expected[redis_keys.TRASH] = self.deleted
        found = {key: set(client.zrange(key, 0, -1)) for key in client.scan_iter(_type="zset")}
        assert found == expected
        found = {key: client.smembers(key) for key in client.scan_iter(_type="set")}
        assert found == noted
        stored = client.keys(redis_keys.JOB + "*")
        assert {key.removeprefix(redis_keys.JOB) for key in stored} == set(self.jobs)

    def _each_tenant_sees_its_jobs(self) -> None:
        for tenant, gateway in self.gateways.items():
            page = self.loop.run_until_complete(gateway.page(status=None, after=None, limit=100))
            own = [job for job in self.jobs.values() if job.tenant == tenant]
            assert {view.job.id: view.job for view in page} == {job.id: job for job in own}
            limits = TENANTS[tenant]
            most = limits.max_running if limits else None
            assert most is None or self._running(tenant) <= most
            placed = [view for view in page if view.queue_position is not None]
            assert len(placed) == len(self._jobs(tenant, JobState.QUEUED))
            queued = [job for job in self.jobs.values() if job.status is JobState.QUEUED]
            assert are_likely_places(placed, queued)
