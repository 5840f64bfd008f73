"""One table of a job's transitions, kept by Python and by Lua alike."""

from collections.abc import Callable, Coroutine
from itertools import product
from typing import Any

import pytest
from redis.exceptions import ResponseError

from core.errors import CancelRequested, NumericalFailure, StaleClaim
from core.records.job import MAX_LOST_LEASES, TRANSITIONS, Job, JobState, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import Claim, WorkerStore
from core.store.scripts import complete
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import JOBS, submit
from testkit.store.tenant_jobs import TenantJobs

MOVE = complete("-- include shared/transitions.lua\nmove(ARGV[1], ARGV[2])")


@pytest.mark.parametrize(("state", "successor"), list(product(JobState, JobState)))
async def test_lua_moves_along_the_table_only(
    async_store: TenantJobs, redis_server: RedisServer, state: JobState, successor: JobState
) -> None:
    """`move`, through which every change of state passes, refuses what the table forbids."""
    client, job = redis_server.client, await submit(async_store)
    client.hset(redis_keys.JOB + job.id, "status", state)
    before = client.hgetall(redis_keys.JOB + job.id)
    if successor in TRANSITIONS[state]:
        client.eval(MOVE, 0, job.id, successor)
        assert client.hget(redis_keys.JOB + job.id, "status") == successor
        assert client.zrange(f"{JOBS}:{successor}", 0, -1) == [job.id]
    else:
        with pytest.raises(ResponseError, match=f"no transition from {state} to {successor}"):
            client.eval(MOVE, 0, job.id, successor)
        assert client.hgetall(redis_keys.JOB + job.id) == before


class Roles:
    """Everything that any role may do to a job."""

    def __init__(self, jobs: TenantJobs, server: RedisServer) -> None:
        self.jobs, self.server = jobs, server
        self.worker = WorkerStore(server.url)
        self.dispatcher = DispatcherStore(server.url)
        self.operator = OperatorStore(server.url)

    def close(self) -> None:
        for store in (self.worker, self.dispatcher, self.operator):
            store.close()

    async def job_in(self, state: JobState) -> Claim:
        """A job that came into this state by calls, and its last claim."""
        job = await submit(self.jobs)
        claim = Claim(job) if state is JobState.QUEUED else self.worker.claim("worker-1")
        assert claim
        if state is JobState.SUCCEEDED:
            self.worker.succeed(claim, [stored_output()], Timing(), MODEL)
        if state is JobState.FAILED:
            self.worker.fail(claim, NumericalFailure("NaN"), Timing(), MODEL)
        if state is JobState.CANCELED:
            await self.jobs.cancel(job.id)
            self.worker.end_canceled(claim, Timing(), MODEL)
        assert self.state_of(job) is state
        return claim

    def state_of(self, job: Job) -> JobState:
        found = self.worker.get(job.id)
        assert found
        return found.status

    def lose(self, claim: Claim) -> None:
        self.server.client.zadd(redis_keys.LEASES, {claim.job.id: 0})
        self.dispatcher.recover_expired_leases()

    def lose_for_good(self, claim: Claim) -> None:
        self.server.client.hset(redis_keys.JOB + claim.job.id, "lost_leases", MAX_LOST_LEASES - 1)
        self.lose(claim)

    async def cancel_then_renew(self, claim: Claim) -> None:
        await self.jobs.cancel(claim.job.id)
        self.worker.renew(claim)

    async def cancel_then_give_back(self, claim: Claim) -> None:
        await self.jobs.cancel(claim.job.id)
        self.worker.give_back(claim)


@pytest.fixture
def roles(async_store: TenantJobs, redis_server: RedisServer) -> Any:
    roles = Roles(async_store, redis_server)
    yield roles
    roles.close()


Act = Callable[[Roles, Claim], Coroutine[Any, Any, Any] | Any]
ACTS: dict[str, Act] = {
    "claim": lambda roles, _: roles.worker.claim("worker-2"),
    "renew": lambda roles, claim: roles.worker.renew(claim),
    "succeed": lambda roles, claim: roles.worker.succeed(claim, [stored_output()], Timing(), MODEL),
    "fail": lambda roles, claim: roles.worker.fail(claim, NumericalFailure("NaN"), Timing(), MODEL),
    "end canceled": lambda roles, claim: roles.worker.end_canceled(claim, Timing(), MODEL),
    "give back": lambda roles, claim: roles.worker.give_back(claim),
    "cancel, then give back": Roles.cancel_then_give_back,
    "cancel, then renew": Roles.cancel_then_renew,
    "report sick": lambda roles, claim: roles.worker.report_sick(claim, "worker-1", "gpu", "broke"),
    "end lease": lambda roles, claim: roles.worker.end_lease(claim),
    "lose": Roles.lose,
    "lose for good": Roles.lose_for_good,
    "cancel": lambda roles, claim: roles.jobs.cancel(claim.job.id),
    "purge": lambda roles, _: roles.operator.purge(),
    "audit": lambda roles, claim: roles.dispatcher.reconcile([claim.job.id], redis_keys.LEASES),
}


async def test_every_call_in_every_state_keeps_to_the_table(roles: Roles) -> None:
    """Every transition of the table is made by some call, and no other one by any."""
    made = set()
    for state, act in product(JobState, ACTS.values()):
        roles.server.client.flushall()
        claim = await roles.job_in(state)
        try:
            answer = act(roles, claim)
            if isinstance(answer, Coroutine):
                await answer
        except (StaleClaim, CancelRequested):
            pass
        made.add((state, roles.state_of(claim.job)))
    changes = {(state, after) for state, after in made if state is not after}
    assert changes == {
        (state, after) for state, successors in TRANSITIONS.items() for after in successors
    }
