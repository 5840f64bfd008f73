"""Jobs in a real Redis: who may write what, and that every change is whole."""

import asyncio
import time
from datetime import timedelta

import pytest

from core import keys
from core.errors import OutOfMemory, StaleClaim, Unavailable
from core.job import MAX_LOST_LEASES, SCHEMA_VERSION, Job, JobState, Priority, Progress, Stage, Timing, new_job_id
from core.job_record import parse_job
from core.job_store import Claim, JobStore
from core.job_store_async import AsyncJobStore
from tests.jobs import MODEL, generation_request, stored_output
from tests.servers import RedisServer, wait_until

TTL = timedelta(hours=1)


async def submit(store: AsyncJobStore, priority: Priority = Priority.INTERACTIVE) -> Job:
    submission = await store.submit(
        new_job_id(), generation_request(priority), metadata={"shot": "12a"}, ttl=TTL, request_id="req-1"
    )
    assert submission.view is not None
    return submission.view.job


async def place(store: AsyncJobStore, job: Job) -> int | None:
    view = await store.read(job.id)
    assert view is not None
    return view.queue_position


def claim(store: JobStore, worker: str = "worker-1") -> Claim:
    held = store.claim(worker)
    assert held is not None
    return held


def expire_lease(server: RedisServer, job_id: str) -> None:
    """Let the lease end now instead of in five seconds."""
    assert server.client.zadd(keys.LEASES, {job_id: 0}, xx=True, ch=True)


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def members(server: RedisServer) -> dict[str, set[str]]:
    """Which job stands in which set."""
    sets = [keys.JOBS, keys.LEASES, keys.EXPIRY, keys.TRASH, *keys.READY_KEYS]
    return {key: set(server.client.zrange(key, 0, -1)) for key in sets}


class TestLife:
    async def test_job_from_submission_to_result(self, async_store: AsyncJobStore, store: JobStore) -> None:
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
        assert (ended.status, ended.outputs, ended.model) == (JobState.SUCCEEDED, [stored_output()], MODEL)
        assert ended.timing.run_seconds == 1.5
        assert ended.progress is None
        assert ended.finished_at is not None

    async def test_both_stores_read_the_same_record(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Gateway and worker speak of one job."""
        job = await submit(async_store)
        view = await async_store.read(job.id)
        assert view is not None
        assert store.get(job.id) == view.job == job

    async def test_version_grows_with_every_change(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """The ETag is made of it, so two different records never share one."""
        job = await submit(async_store)
        versions = [job.version]

        def note() -> None:
            current = store.get(job.id)
            assert current is not None
            versions.append(current.version)

        held = claim(store)
        note()
        store.renew(held, Progress(stage=Stage.LOADING, step=0, steps=4, percent=0, eta_seconds=None))
        note()
        store.give_back(held)
        note()
        store.fail(claim(store), OutOfMemory("too large"), Timing(), None)
        note()
        assert versions == sorted(set(versions))

    async def test_lease_without_news_is_no_change(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """A heartbeat must not wake everybody who waits for a change."""
        await submit(async_store)
        held = claim(store)
        store.renew(held)
        current = store.get(held.job.id)
        assert current is not None
        assert current.version == held.job.version

    async def test_unknown_job_is_none(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Absent, which the caller turns into 404."""
        assert await async_store.read(new_job_id()) is None
        assert store.get(new_job_id()) is None

    def test_nothing_to_claim(self, store: JobStore) -> None:
        """A message that came twice finds no job."""
        assert store.claim("worker-1") is None

    async def test_record_of_a_newer_service_is_refused(
        self, async_store: AsyncJobStore, redis_server: RedisServer
    ) -> None:
        """During an update, guessing at unknown fields would lose them."""
        job = await submit(async_store)
        fields = redis_server.client.hgetall(keys.JOB + job.id)
        with pytest.raises(ValueError, match=f"schema {SCHEMA_VERSION + 1}"):
            parse_job(fields | {"schema": str(SCHEMA_VERSION + 1)})


class TestOrder:
    async def test_first_come_first_served(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Within a lane nobody overtakes."""
        jobs = []
        for _ in range(3):
            jobs.append(await submit(async_store))
            await asyncio.sleep(0.002)  # the order within a millisecond is free
        assert [claim(store).job.id for _ in jobs] == [job.id for job in jobs]

    async def test_interactive_before_batch(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Batch work waits until no interactive job is waiting, however old it is."""
        batch = await submit(async_store, Priority.BATCH)
        interactive = await submit(async_store)
        assert [claim(store).job.id for _ in range(2)] == [interactive.id, batch.id]

    async def test_place_in_the_queue(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """It counts the jobs that are served first, the better lane included, and ends with the waiting."""
        batch = await submit(async_store, Priority.BATCH)
        first = await submit(async_store)
        assert await place(async_store, first) == 0
        assert await place(async_store, batch) == 1
        running = claim(store).job
        assert await place(async_store, running) is None
        assert await place(async_store, first) is None
        assert await place(async_store, batch) == 0

    async def test_job_given_back_keeps_its_place(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """A worker that is updated costs a job nothing: neither its turn nor one of its three lives."""
        first = await submit(async_store)
        await asyncio.sleep(0.002)
        await submit(async_store)
        store.give_back(claim(store))
        waiting = store.get(first.id)
        assert waiting is not None
        assert waiting.started_at is None
        again = claim(store, "worker-2")
        assert again.job.id == first.id
        assert (again.job.lost_leases, again.job.attempts) == (0, 2)


class TestFence:
    """A worker that was thought dead comes back to life and goes on writing."""

    @pytest.fixture
    async def stale(self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer) -> Claim:
        await submit(async_store)
        held = claim(store)
        expire_lease(redis_server, held.job.id)
        store.recover_expired_leases()
        return held

    @pytest.mark.parametrize("taken_over", [False, True])
    def test_nothing_that_it_writes_counts(self, stale: Claim, store: JobStore, taken_over: bool) -> None:
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

    def test_its_successor_is_not_disturbed(self, stale: Claim, store: JobStore) -> None:
        """The second attempt ends as if there had never been a first."""
        successor = claim(store, "worker-2")
        with pytest.raises(StaleClaim):
            store.succeed(stale, [stored_output(b"late")], Timing(), MODEL)
        store.succeed(successor, [stored_output()], Timing(), MODEL)
        ended = store.get(stale.job.id)
        assert ended is not None
        assert ended.outputs == [stored_output()]

    async def test_end_told_twice_is_one_end(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Where the answer to a commit is lost, the worker commits again and has to hear yes."""
        await submit(async_store)
        held = claim(store)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        once = store.get(held.job.id)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        assert store.get(held.job.id) == once

    async def test_ended_job_cannot_end_otherwise(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """Nor wait again."""
        await submit(async_store)
        held = claim(store)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.fail(held, OutOfMemory("too large"), Timing(), MODEL)
        with pytest.raises(StaleClaim):
            store.give_back(held)


class TestLostWorkers:
    async def test_lease_that_runs_is_left_alone(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """A sweep in the middle of a job changes nothing."""
        await submit(async_store)
        held = claim(store)
        assert store.recover_expired_leases() == ([], [])
        store.renew(held)

    async def test_lease_that_is_not_renewed_ends(
        self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer
    ) -> None:
        """By Redis's own clock, within the five seconds that callers are promised and the sweep."""
        job = await submit(async_store)
        claim(store)
        wait_until(lambda: redis_server.client.zcount(keys.LEASES, 0, now_ms(redis_server)), "the lease ends")
        assert store.recover_expired_leases() == ([job.id], [])

    async def test_third_loss_is_the_jobs_fault(
        self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer
    ) -> None:
        """A job that kills its workers must not go round for ever."""
        job = await submit(async_store)
        for loss in range(1, MAX_LOST_LEASES + 1):
            claim(store, f"worker-{loss}")
            expire_lease(redis_server, job.id)
            requeued, failed = store.recover_expired_leases()
            assert (requeued, failed) == (([job.id], []) if loss < MAX_LOST_LEASES else ([], [job.id]))
        ended = store.get(job.id)
        assert ended is not None
        assert ended.status is JobState.FAILED
        assert ended.error is not None
        assert ended.error.code == "worker_lost"
        assert members(redis_server)[keys.EXPIRY] == {job.id}

    async def test_work_wakes_the_dispatcher(self, async_store: AsyncJobStore, store: JobStore) -> None:
        """A new job is seen at once and not by the next sweep; the wait returns long before its time is over."""
        begun = time.monotonic()
        await submit(async_store)
        store.wait_for_work(timedelta(seconds=4))
        assert time.monotonic() - begun < 3


class TestExpiry:
    async def test_only_ended_jobs_past_their_time(
        self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer
    ) -> None:
        """A job that still runs is not deleted under its worker, whatever its time to live says."""
        brief = timedelta(milliseconds=1)
        for _ in range(2):
            await async_store.submit(new_job_id(), generation_request(), metadata={}, ttl=brief, request_id="")
        running, ended = claim(store), claim(store)
        store.succeed(ended, [stored_output()], Timing(), MODEL)
        fresh = await submit(async_store)
        store.succeed(claim(store), [stored_output()], Timing(), MODEL)
        await asyncio.sleep(0.01)
        assert store.sweep_expired() == [ended.job.id]
        assert store.get(ended.job.id) is None
        assert members(redis_server)[keys.JOBS] == {running.job.id, fresh.id}
        assert store.sweep_expired() == [ended.job.id], "until its objects are gone"

        store.emptied(ended.job.id)
        assert store.sweep_expired() == []
        assert members(redis_server)[keys.TRASH] == set()


class TestWorkers:
    def test_live_worker_is_listed_with_its_model(self, store: JobStore) -> None:
        """What the dispatcher counts and what an operator wants to know."""
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        (worker,) = store.workers()
        assert (worker.name, worker.state, worker.model, worker.model_loads) == ("gpu-1:7", "idle", MODEL, 2)

    def test_silent_worker_vanishes(self, store: JobStore, redis_server: RedisServer) -> None:
        """Its record dies by itself; no dispatcher waits for it."""
        store.report("gpu-1:7", state="idle")
        redis_server.client.pexpire(keys.WORKER + "gpu-1:7", 1)
        time.sleep(0.01)
        assert store.workers() == []

    def test_dismissed_worker_vanishes_at_once(self, store: JobStore) -> None:
        """In order, so there is nothing to wait for."""
        store.report("gpu-1:7", state="idle")
        store.dismiss("gpu-1:7")
        assert store.workers() == []

    def test_worker_asked_to_stop_hears_how_long_it_has(self, store: JobStore) -> None:
        """Its parent process tells Redis, its child hears it with the next beat."""
        assert store.report("gpu-1:7", state="busy") is None
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        left = store.report("gpu-1:7", state="busy")
        assert left is not None
        assert timedelta(seconds=20) < left <= timedelta(seconds=30)

    def test_stopping_worker_offers_no_slot(self, store: JobStore) -> None:
        """A message sent to it would lie about until another worker finds it."""
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        store.report("gpu-1:7", state="idle")
        assert [worker.state for worker in store.workers()] == ["stopping"]

    def test_restarted_worker_forgets_that_it_was_asked_to_stop(self, store: JobStore) -> None:
        """In a container it has the same name again; else it would give back every job for ever."""
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        assert store.report("gpu-1:7", state="idle") is None


class TestRedisAway:
    """A request is refused within about a second; the bound here is generous."""

    @pytest.mark.parametrize("away", ["frozen", "killed"])
    async def test_every_call_raises_unavailable(self, mortal_redis: RedisServer, away: str) -> None:
        """Whether Redis is gone or only does not answer, and also on a connection that worked before."""
        store = AsyncJobStore(mortal_redis.url)
        job = await submit(store)
        mortal_redis.freeze() if away == "frozen" else mortal_redis.kill()
        calls = [
            lambda: store.ping(),
            lambda: store.read(job.id),
            lambda: store.page(status=None, after=None, limit=5),
            lambda: store.cancel(job.id),
            lambda: store.delete(job.id),
            lambda: store.emptied(job.id),
            lambda: submit(store),
        ]
        for call in calls:
            begun = time.monotonic()
            with pytest.raises(Unavailable, match="Redis does not answer"):
                await call()
            assert time.monotonic() - begun < 5
        await store.close()

    async def test_store_recovers_with_redis(self, mortal_redis: RedisServer) -> None:
        """The same store, without a restart; an accepted job has survived the crash."""
        store = AsyncJobStore(mortal_redis.url)
        job = await submit(store)
        mortal_redis.kill()
        with pytest.raises(Unavailable):
            await store.ping()
        mortal_redis.start()
        view = await store.read(job.id)
        assert view is not None
        assert view.job == job
        await store.close()
