"""Free slots as the dispatcher counts them: right, and at the same cost however many workers there
are.
"""

from datetime import timedelta

import pytest

from core.records.base import SCHEMA_VERSION
from core.records.ids import new_job_id
from core.store import redis_keys
from core.store.broker import QUEUE
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, TENANT_LIMITS, generation_request
from testkit.servers import RedisServer
from testkit.store.steps import as_next_version_enqueues, submit
from testkit.store.tenant_jobs import TenantJobs

SMALL, LARGE = 128 * 128, 512 * 320


def missing(upkeep: DispatcherStore) -> int:
    return sum(upkeep.count_missing_messages(QUEUE).values())


async def submit_canvas(store: TenantJobs, side: int) -> str:
    job_id = new_job_id()
    request = generation_request(width=side, height=side)
    await store.submit(job_id, request, metadata={}, ttl=timedelta(hours=1), request_id="")
    return job_id


def calls(server: RedisServer) -> int:
    """All commands that Redis ran so far, those of scripts included."""
    return sum(command["calls"] for command in server.client.info("commandstats").values())


class TestCost:
    async def test_is_the_same_for_any_number_of_idle_workers(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """A look comes with every job; one that read each worker's record would be the first limit
        of a fleet.
        """

        def cost() -> int:
            before = calls(redis_server)
            assert missing(upkeep) == 1
            return calls(redis_server) - before

        await submit(async_store)
        for name in ("gpu-0", "gpu-1"):
            store.report(name, state="idle")
        missing(upkeep)  # the first one brings the script
        few = cost()
        for number in range(2, 50):
            store.report(f"gpu-{number}", state="idle")
        assert cost() == few

    async def test_stops_at_as_many_jobs_as_there_are_slots(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """Where hundreds of tenants wait for the one worker that is free, the first of them are
        enough to know.
        """

        async def cost(tenants: range) -> int:
            for number in tenants:
                await submit(async_store.of_tenant(f"tenant-{number}"))
            before = calls(redis_server)
            assert missing(upkeep) == 1
            return calls(redis_server) - before

        store.report("gpu-0", state="idle")
        missing(upkeep)
        assert await cost(range(5)) == await cost(range(5, 50))

    async def test_of_a_claim_hardly_grows_with_tenants_that_cannot_be_first(
        self,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """Those with more running jobs than another, or more GPU time, are not asked for their
        oldest job.
        """
        for number in range(40):
            await submit(async_store.of_tenant(f"busy-{number}"))
        for _ in range(40):
            assert store.claim("gpu-0")
        for number in range(40):
            await submit(async_store.of_tenant(f"busy-{number}"))
        redis_server.client.hset(
            redis_keys.METERS, mapping={f"busy-{number}": number for number in range(40)}
        )
        first = await submit(async_store.of_tenant("new"))
        redis_server.client.config_resetstat()
        held = store.claim("gpu-0")
        assert held is not None
        assert held.job.id == first.id
        assert redis_server.client.info("commandstats")["cmdstat_zrange"]["calls"] < 20


class TestKinds:
    async def test_each_slot_needs_a_job_that_its_worker_runs(
        self, upkeep: DispatcherStore, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Two small workers and a large one: the large job deserves one message, two small jobs two
        more.
        """
        for name, limit in (("small-1", SMALL), ("small-2", SMALL), ("large", LARGE)):
            store.report(name, state="idle", schema=SCHEMA_VERSION, max_canvas_pixels=limit)
        await submit_canvas(async_store, 256)
        assert missing(upkeep) == 1
        for _ in range(3):
            await submit_canvas(async_store, 128)
        assert missing(upkeep) == 3

    async def test_job_for_newer_workers_is_seen_beside_an_idle_older_one(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """While workers are updated one after the other; whatever order they are looked at in."""
        as_next_version_enqueues(redis_server, await submit_canvas(async_store, 128))
        store.report("older", state="idle", schema=SCHEMA_VERSION, max_canvas_pixels="")
        assert missing(upkeep) == 0
        store.report("newer", state="idle", schema=SCHEMA_VERSION + 1, max_canvas_pixels=LARGE)
        assert missing(upkeep) == 1

    async def test_limit_of_a_tenant_counts_over_all_its_demands(
        self, upkeep: DispatcherStore, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Three canvases wait, two may run: two messages, not three."""
        for number in range(3):
            store.report(f"gpu-{number}", state="idle")
        limited = async_store.of_tenant(
            "studio", TENANT_LIMITS.model_copy(update={"max_running": 2})
        )
        for side in (128, 192, 256):
            await submit_canvas(limited, side)
        assert missing(upkeep) == 2


class TestSlots:
    @pytest.mark.parametrize("end", ["busy", "asked to stop", "dismissed", "drained"])
    async def test_slot_ends_with_what_its_worker_says(
        self,
        upkeep: DispatcherStore,
        operator: OperatorStore,
        store: WorkerStore,
        async_store: TenantJobs,
        end: str,
    ) -> None:
        """A message to it would lie about until another worker finds it."""
        await submit(async_store)
        store.report_load("gpu-1", MODEL, load_seconds=1.0)
        assert missing(upkeep) == 1
        if end == "busy":
            store.report("gpu-1", state="busy")
        elif end == "asked to stop":
            store.ask_to_stop("gpu-1", timedelta(seconds=30))
        elif end == "dismissed":
            store.dismiss("gpu-1")
        else:
            operator.drain("gpu-1")
            store.report("gpu-1", state="idle")
        assert missing(upkeep) == 0

    async def test_silent_worker_has_none(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """One that was killed withdraws nothing; its last sign of life tells."""
        await submit(async_store)
        store.report("gpu-1", state="idle")
        (kind,) = redis_server.client.scan_iter(f"{redis_keys.SLOTS}*")
        redis_server.client.zadd(kind, {"gpu-1": 1})
        redis_server.client.zadd(redis_keys.WORKERS, {"gpu-1": 1})
        upkeep.recount_workers()
        assert missing(upkeep) == 0
        assert redis_server.client.exists(kind, redis_keys.SLOT_KINDS, redis_keys.WORKERS) == 0

    async def test_worker_of_a_version_before_is_counted_by_its_record(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """It knows of no place for free slots; the dispatcher's look at all workers puts it
        there.
        """
        await submit(async_store)
        store.report("gpu-1", state="idle", schema=SCHEMA_VERSION, max_canvas_pixels=LARGE)
        kind = f"{SCHEMA_VERSION}:{LARGE}:tooncrafter:"
        redis_server.client.delete(redis_keys.SLOT_KINDS, redis_keys.SLOTS + kind)
        assert missing(upkeep) == 0
        upkeep.recount_workers()
        assert missing(upkeep) == 1
