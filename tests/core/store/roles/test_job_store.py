"""Jobs in a real Redis: their life, their order, and a Redis that is away."""

import asyncio
import time
from datetime import timedelta

import pytest

from core.errors import OutOfMemory, Unavailable
from core.records.ids import new_job_id
from core.records.job import Caution, JobState, Progress, Stage, Timing
from core.records.request import Priority
from core.records.webhook import FINAL_EVENTS, Webhook
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import TTL, claim, place, submit
from testkit.store.tenant_jobs import TenantJobs


class TestLife:
    async def test_job_from_submission_to_result(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """The way that nearly every job takes; each station stands in the record."""
        job = await submit(async_store)
        assert (job.status, job.version, job.attempts) == (JobState.QUEUED, 1, 0)
        assert job.expires_at - job.created_at == TTL
        assert job.metadata == {"shot": "12a"}
        assert job.request_id == "req-1"

        held = claim(store)
        assert (held.job.id, held.job.status, held.job.attempts) == (job.id, JobState.RUNNING, 1)
        assert held.job.started_at is not None
        assert held.job.started_at >= job.created_at

        news = Progress(stage=Stage.DENOISING, step=2, steps=4, percent=46.5, eta_seconds=3.5)
        store.renew(held, news)
        running = await async_store.read(job.id)
        assert running is not None
        assert running.job.progress == news

        store.succeed(held, [stored_output()], Timing(run_seconds=1.5), MODEL)
        view = await async_store.read(job.id)
        assert view is not None
        ended = view.job
        assert (ended.status, ended.outputs, ended.model) == (
            JobState.SUCCEEDED,
            [stored_output()],
            MODEL,
        )
        assert ended.timing.run_seconds == 1.5
        assert ended.progress is None
        assert ended.finished_at is not None

    async def test_both_stores_read_the_same_record(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Gateway and worker speak of one job."""
        job = await submit(async_store)
        view = await async_store.read(job.id)
        assert view is not None
        assert store.get(job.id) == view.job == job

    async def test_version_grows_with_every_change(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """The ETag is made of it, so two different records never share one."""
        job = await submit(async_store)
        versions = [job.version]

        def note() -> None:
            current = store.get(job.id)
            assert current is not None
            versions.append(current.version)

        held = claim(store)
        note()
        store.renew(
            held, Progress(stage=Stage.LOADING, step=0, steps=4, percent=0, eta_seconds=None)
        )
        note()
        store.give_back(held)
        note()
        store.fail(claim(store), OutOfMemory("too large"), Timing(), None)
        note()
        assert versions == sorted(set(versions))

    async def test_lease_without_news_is_no_change(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """A heartbeat must not wake everybody who waits for a change."""
        await submit(async_store)
        held = claim(store)
        store.renew(held)
        current = store.get(held.job.id)
        assert current is not None
        assert current.version == held.job.version

    async def test_unknown_job_is_none(self, async_store: TenantJobs, store: WorkerStore) -> None:
        """Absent, which the caller turns into 404."""
        assert await async_store.read(new_job_id()) is None
        assert store.get(new_job_id()) is None

    def test_nothing_to_claim(self, store: WorkerStore) -> None:
        """A message that came twice finds no job."""
        assert store.claim("worker-1") is None


class TestOrder:
    async def test_first_come_first_served(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Within a lane, jobs start in order of submission."""
        jobs = []
        for _ in range(3):
            jobs.append(await submit(async_store))
            await asyncio.sleep(0.002)  # the order within a millisecond is free
        assert [claim(store).job.id for _ in jobs] == [job.id for job in jobs]

    async def test_interactive_before_batch(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """Batch work waits until no interactive job is waiting, however old it is."""
        batch = await submit(async_store, Priority.BATCH)
        interactive = await submit(async_store)
        assert [claim(store).job.id for _ in range(2)] == [interactive.id, batch.id]

    async def test_place_in_the_queue(self, async_store: TenantJobs, store: WorkerStore) -> None:
        """It counts the jobs that are served first, the better lane included, and ends with the
        waiting.
        """
        batch = await submit(async_store, Priority.BATCH)
        first = await submit(async_store)
        assert await place(async_store, first) == 0
        assert await place(async_store, batch) == 1
        running = claim(store).job
        assert await place(async_store, running) is None
        assert await place(async_store, first) is None
        assert await place(async_store, batch) == 0

    async def test_job_given_back_keeps_its_place(
        self, async_store: TenantJobs, store: WorkerStore
    ) -> None:
        """A worker that is updated costs a job nothing: neither its turn nor one of its three
        lives.
        """
        first = await submit(async_store)
        await asyncio.sleep(0.002)
        await submit(async_store)
        store.give_back(claim(store))
        waiting = store.get(first.id)
        assert waiting is not None
        assert waiting.started_at is None
        again = claim(store, "worker-2")
        assert again.job.id == first.id
        assert (again.job.lost_leases, again.job.attempts) == (0, 1)


class TestRedisAway:
    """A request is refused within about a second; the bound here is generous."""

    @pytest.mark.parametrize("away", ["frozen", "killed"])
    async def test_every_call_raises_unavailable(
        self, mortal_redis: RedisServer, away: str
    ) -> None:
        """Whether Redis is gone or only does not answer, and also on a connection that worked
        before.
        """
        store = TenantJobs(mortal_redis.url)
        job = await submit(store)
        mortal_redis.freeze() if away == "frozen" else mortal_redis.kill()
        calls = [
            store.store.ping(),
            store.read(job.id),
            store.page(status=None, after=None, limit=5),
            store.cancel(job.id),
            store.delete(job.id),
            store.store.emptied(job.id),
            submit(store),
        ]
        begun = time.monotonic()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - begun < 5
        for answer in answers:
            assert isinstance(answer, Unavailable)
            assert "Redis does not answer" in answer.detail
        await store.close()

    async def test_store_recovers_with_redis(self, mortal_redis: RedisServer) -> None:
        """The same store, without a restart; an accepted job has survived the crash."""
        store = TenantJobs(mortal_redis.url)
        job = await submit(store)
        mortal_redis.kill()
        with pytest.raises(Unavailable):
            await store.store.ping()
        mortal_redis.start()
        view = await store.read(job.id)
        assert view is not None
        assert view.job == job
        await store.close()


class TestRead:
    """What the gateway is told of a job."""

    async def test_submission_answers_what_a_reader_sees(self, async_store: TenantJobs) -> None:
        """It is made of what the gateway knows, and not read back."""
        await submit(async_store)
        told = await async_store.submit(
            new_job_id(),
            generation_request(),
            metadata={"shot": "12a"},
            ttl=timedelta(hours=1),
            request_id="request",
            webhook=Webhook(
                url="https://a.example/hook", host="a.example", digest="d", events=FINAL_EVENTS
            ),
            warnings=[Caution(code="webhook_disabled", detail="it is off")],
        )
        assert told.view is not None
        assert told.view == await async_store.read(told.view.job.id)
        assert told.view.queue_position == 1

    async def test_job_that_is_not_there(self, async_store: TenantJobs) -> None:
        """Another tenant's id gets the same answer as an unknown one."""
        job = await submit(async_store)
        assert await async_store.of_tenant("another").read(job.id) is None
        assert await async_store.read(new_job_id()) is None
