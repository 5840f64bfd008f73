"""A worker is given only what it can run; what it cannot run blocks no other job."""

from datetime import timedelta

from core.records.ids import new_job_id
from core.records.request import Priority
from core.store import redis_keys
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import generation_request
from testkit.servers import RedisServer
from testkit.store.steps import as_next_version_enqueues
from testkit.store.tenant_jobs import TenantJobs

SMALL, LARGE = 256 * 256, 512 * 320


async def submit(
    store: TenantJobs, width: int, height: int, priority: Priority = Priority.INTERACTIVE
) -> str:
    job_id = new_job_id()
    request = generation_request(priority, width=width, height=height)
    await store.submit(job_id, request, metadata={}, ttl=timedelta(hours=1), request_id="")
    return job_id


def claimed(store: WorkerStore, max_canvas_pixels: int | None) -> str | None:
    claim = store.claim("gpu-1:7", max_canvas_pixels)
    return claim and claim.job.id


class TestCanvas:
    async def test_small_worker_passes_over_what_is_too_large(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """It takes the oldest that fits; the large one waits for a worker that has no limit."""
        large = await submit(async_store, 512, 320)
        first, second = await submit(async_store, 256, 256), await submit(async_store, 128, 128)
        assert [claimed(store, SMALL) for _ in range(3)] == [first, second, None]
        assert claimed(store, None) == large

    async def test_limit_is_the_largest_that_fits(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Portrait or landscape: memory asks for the area."""
        job_id = await submit(async_store, 320, 512)
        assert claimed(store, LARGE - 1) is None
        assert claimed(store, LARGE) == job_id

    async def test_oldest_comes_first_among_several_sizes(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """A size is no lane of its own."""
        ids = [await submit(async_store, side, side) for side in (256, 128, 256, 192)]
        assert [claimed(store, SMALL) for _ in ids] == ids

    async def test_batch_that_fits_runs_while_interactive_does_not_fit(
        self, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """A smaller job is taken before the device idles."""
        await submit(async_store, 512, 320)
        batch = await submit(async_store, 128, 128, Priority.BATCH)
        assert claimed(store, SMALL) == batch

    async def test_thousands_that_do_not_fit_cost_no_more_than_one(
        self, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """The script looks at each kind of demand once; the calls that it makes are counted by
        Redis.
        """

        def calls() -> int:
            stats = redis_server.client.info("commandstats")
            return sum(command["calls"] for command in stats.values())

        async def cost_of_a_claim() -> int:
            await submit(async_store, 128, 128)
            before = calls()
            assert claimed(store, SMALL)
            return calls() - before

        await submit(async_store, 512, 320)
        await cost_of_a_claim()  # the first one brings the script
        few = await cost_of_a_claim()
        for _ in range(200):
            await submit(async_store, 512, 320)
        assert await cost_of_a_claim() == few


class TestSchema:
    async def test_job_of_a_newer_version_is_left_to_newer_workers(
        self, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """While gateways and workers are updated one after the other, an old worker runs what it
        understands.
        """
        newer = await submit(async_store, 128, 128)
        as_next_version_enqueues(redis_server, newer)
        older = await submit(async_store, 128, 128)
        assert [claimed(store, None) for _ in range(2)] == [older, None]
        assert redis_server.client.zrange(redis_keys.READY + Priority.INTERACTIVE, 0, -1) == [newer]


class TestCount:
    async def test_ready_jobs_that_fit(
        self, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """For each of which a free worker of that size deserves a message."""
        for side in (256, 128, 512):
            await submit(async_store, side, side)
        counts = [operator.count_ready(limit) for limit in (None, LARGE, SMALL, 128 * 128, 1)]
        assert counts == [3, 2, 2, 1, 0]
