"""Tenants share the workers: a flood delays its own tenant, and limits hold."""

from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.records.request import Priority
from core.records.tenant import TenantLimits
from core.store import redis_keys
from core.store.constants import BATCH_PATIENCE
from core.store.encoding import milliseconds
from core.store.roles.gateway import Outcome
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import TENANT_LIMITS, generation_request
from testkit.servers import RedisServer
from testkit.store.steps import claim, end, flood, let_run, place, submit
from testkit.store.tenant_jobs import TenantJobs

FLOOD = 1_000


def limits(**changes: object) -> TenantLimits:
    return TENANT_LIMITS.model_copy(update=changes)


def serve(store: WorkerStore, server: RedisServer, jobs: int) -> list[str]:
    """Run jobs of a minute one after the other on one worker; return their tenants."""
    tenants = []
    for _ in range(jobs):
        held = claim(store)
        tenants.append(held.job.tenant)
        let_run(server, held, timedelta(minutes=1))
        end(store, held)
    return tenants


def let_wait(server: RedisServer, job_id: str, duration: timedelta) -> None:
    """Make the job older by `duration`, in its record and in all sets."""
    created = server.client.hincrby(redis_keys.JOB + job_id, "created", -milliseconds(duration))
    for key in server.client.scan_iter(match=f"{redis_keys.READY}*"):
        server.client.zadd(key, {job_id: created}, xx=True)


class TestTurns:
    async def test_flood_delays_nobody_else(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Another tenant's first job is next, once the job that runs has ended."""
        flooder, other = async_store.of_tenant("flooder"), async_store.of_tenant("other")
        await flood(flooder, FLOOD)
        running = claim(store)
        first = await submit(other)
        end(store, running)
        assert claim(store).job.id == first.id

    async def test_flood_of_interactive_work_delays_batch_by_a_bounded_time(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """Once a tenant's batch job has waited for `BATCH_PATIENCE`, one goes first; then others
        again.
        """
        await flood(async_store.of_tenant("flooder"), 5)
        waiting = [
            await submit(async_store.of_tenant("renderer"), Priority.BATCH) for _ in range(2)
        ]
        assert serve(store, redis_server, 2) == ["flooder"] * 2
        for job in waiting:
            let_wait(redis_server, job.id, BATCH_PATIENCE)
        assert serve(store, redis_server, 3) == ["renderer", "flooder", "flooder"]

    async def test_own_batch_work_never_goes_first(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """A tenant whose interactive work keeps its batch work waiting wanted it so."""
        old = await submit(async_store, Priority.BATCH)
        let_wait(redis_server, old.id, 2 * BATCH_PATIENCE)
        urgent = await submit(async_store)
        assert [claim(store).job.id for _ in range(2)] == [urgent.id, old.id]

    async def test_interactive_before_batch_of_other_tenants(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """However much the one has submitted, and however little the other has had."""
        await flood(async_store.of_tenant("renderer"), 3, Priority.BATCH)
        await flood(async_store.of_tenant("studio"), 3)
        assert serve(store, redis_server, 6) == ["studio"] * 3 + ["renderer"] * 3

    async def test_tenants_take_turns(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """Jobs of the same length: one of each in every round, whatever came first and with however
        many.
        """
        for tenant, jobs in (("a", 6), ("b", 3), ("c", 3)):
            await flood(async_store.of_tenant(tenant), jobs)
        served = serve(store, redis_server, 12)
        assert [sorted(served[i : i + 3]) for i in (0, 3, 6)] == [["a", "b", "c"]] * 3
        assert served[9:] == ["a"] * 3

    async def test_long_jobs_count_for_more(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """It is time on the GPU that is shared, not the number of jobs."""
        await flood(async_store.of_tenant("long"), 3)
        held = claim(store)
        let_run(redis_server, held, timedelta(minutes=10))
        await flood(async_store.of_tenant("short"), 3)
        end(store, held)
        assert serve(store, redis_server, 3) == ["short"] * 3

    async def test_workers_are_shared(self, async_store: TenantJobs, store: WorkerStore) -> None:
        """Of four workers two tenants get two each, though one has used much less so far."""
        await flood(async_store.of_tenant("a"), 4)
        held = [claim(store)]
        await flood(async_store.of_tenant("b"), 4)
        held += [claim(store) for _ in range(3)]
        assert sorted(one.job.tenant for one in held) == ["a", "a", "b", "b"]

    async def test_who_pauses_saves_nothing_up(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """A tenant that comes back after an hour takes turns at once, and does not take the hour
        back.
        """
        await flood(async_store.of_tenant("idle"), 1)
        end(store, claim(store))
        await flood(async_store.of_tenant("busy"), 6)
        for _ in range(2):
            held = claim(store)
            let_run(redis_server, held, timedelta(hours=1))
            end(store, held)
        await flood(async_store.of_tenant("idle"), 4)
        # so does a new tenant
        await flood(async_store.of_tenant("new"), 4)
        first = claim(store)
        let_run(redis_server, first, timedelta(hours=1))
        end(store, first)
        assert len({first.job.tenant, *serve(store, redis_server, 1)} & {"idle", "new"}) == 2

    async def test_use_that_nobody_minded_is_no_debt(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """GPU time used while no other tenant waited does not count against later jobs."""
        alone, flooder = async_store.of_tenant("alone"), async_store.of_tenant("flooder")
        await flood(alone, 1)
        held = claim(store)
        let_run(redis_server, held, timedelta(hours=1))
        end(store, held)
        await flood(flooder, 10)
        running = claim(store)
        first = await submit(alone)
        end(store, running)
        assert claim(store).job.id == first.id

    async def test_turns_survive_a_restart(self, mortal_redis: RedisServer) -> None:
        """They stand in Redis beside the jobs."""
        gateway, store = TenantJobs(mortal_redis.url), WorkerStore(mortal_redis.url)
        await flood(gateway.of_tenant("a"), 2)
        held = claim(store)
        await flood(gateway.of_tenant("b"), 1)
        end(store, held)
        mortal_redis.kill()
        mortal_redis.start()
        assert claim(store).job.tenant == "b"
        await gateway.close()
        store.close()


class TestPlace:
    async def test_place_counts_turns(self, async_store: TenantJobs) -> None:
        """Not the thousand jobs of somebody else, of which only one comes before each of one's
        own.
        """
        await flood(async_store.of_tenant("flooder"), 10)
        other = async_store.of_tenant("other")
        jobs = [await submit(other) for _ in range(3)]
        assert [await place(other, job) for job in jobs] == [1, 3, 5]

    async def test_batch_waits_for_everybodys_interactive_work(
        self, async_store: TenantJobs
    ) -> None:
        """The better lane of all tenants comes first."""
        await flood(async_store.of_tenant("studio"), 4)
        assert await place(async_store, await submit(async_store, Priority.BATCH)) == 4


class TestCost:
    @pytest.mark.parametrize("jobs", [1, 100])
    async def test_claim_does_not_look_at_waiting_jobs(
        self, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer, jobs: int
    ) -> None:
        """It looks once at each tenant, however many jobs wait."""
        for tenant in ("a", "b"):
            await flood(async_store.of_tenant(tenant), jobs + 1)
        end(store, claim(store))  # the script is loaded
        redis_server.client.config_resetstat()
        assert store.claim("worker-1")
        calls = redis_server.client.info("commandstats")
        assert (
            sum(
                entry["calls"]
                for name, entry in calls.items()
                if name != "cmdstat_config|resetstat"
            )
            <= 45
        )


class TestLimits:
    async def test_waiting_jobs(self, async_store: TenantJobs, store: WorkerStore) -> None:
        """One too many is refused, before its images are stored too; another tenant has its own
        room.
        """
        small = async_store.of_tenant("small", limits(max_queued=2))
        await flood(small, 2)
        refused = await small.submit(
            new_job_id(), generation_request(), metadata={}, ttl=timedelta(1), request_id=""
        )
        assert refused.outcome is (await small.reserve(new_job_id())).outcome is Outcome.TOO_MANY
        await submit(async_store.of_tenant("large", limits(max_queued=2)))
        claim(store)
        await submit(small)

    async def test_running_jobs(
        self, async_store: TenantJobs, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """A worker stays free for others, and the dispatcher sends no message for what may not
        start.
        """
        await flood(async_store.of_tenant("small", limits(max_running=1)), 3)
        held = claim(store)
        assert (store.claim("worker-2"), operator.count_ready()) == (None, 0)
        await submit(async_store.of_tenant("other"))
        assert operator.count_ready() == 1
        assert claim(store, "worker-2").job.tenant == "other"
        end(store, held)
        assert operator.count_ready() == 1
        assert claim(store).job.tenant == "small"

    async def test_limit_that_was_lifted(self, async_store: TenantJobs, store: WorkerStore) -> None:
        """What the last submission said counts, for jobs that wait too."""
        await flood(async_store.of_tenant("small", limits(max_running=1)), 2)
        await submit(async_store.of_tenant("small", limits()))
        assert [claim(store).job.tenant for _ in range(3)] == ["small"] * 3
