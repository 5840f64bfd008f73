"""A job in trouble: its lease lost, its worker stopped, Redis away, its device broken."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from core.objects.storage import open_storage
from core.records.job import JobState, Progress
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.servers import RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import StandInPipeline, Worker, read, submit
from worker.gpu.faults import DeviceBroken


class TestLostLease:
    async def test_attempt_stops_within_a_step_and_writes_nothing(
        self,
        folder_worker: Worker,
        upkeep: DispatcherStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """The job waits for somebody else as if this worker had died."""
        job_id = await submit(async_store, folder_worker.storage, steps=10)
        before = stored_keys()

        def lose_lease(index: int) -> None:
            if index == 2:
                redis_server.client.zadd(redis_keys.LEASES, {job_id: 0})
                assert upkeep.recover_expired_leases()[:2] == ([job_id], [])

        folder_worker.pipeline.at_step = lose_lease
        assert folder_worker.run() == job_id
        assert folder_worker.pipeline.steps_done == 3
        job = read(folder_worker.store, job_id)
        assert (job.status, job.lost_leases, job.outputs) == (JobState.QUEUED, 1, [])
        assert stored_keys() == before

    async def test_second_attempt_succeeds_beside_the_first(
        self,
        folder_worker: Worker,
        upkeep: DispatcherStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
        settings: Settings,
    ) -> None:
        """A worker that slept through its lease finds its job done by another one, whose result
        stays.
        """
        job_id = await submit(async_store, folder_worker.storage, steps=3)
        other = Worker(
            WorkerStore(redis_server.url), open_storage(settings), StandInPipeline(), "gpu-2:8"
        )

        def sleep_through(index: int) -> None:
            if index == 1:
                redis_server.client.zadd(redis_keys.LEASES, {job_id: 0})
                upkeep.recover_expired_leases()
                assert other.run() == job_id

        folder_worker.pipeline.at_step = sleep_through
        folder_worker.run()
        other.heartbeat.end()
        other.store.close()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.attempts, job.fence, len(job.outputs)) == (
            JobState.SUCCEEDED,
            2,
            2,
            1,
        )

    async def test_heartbeat_holds_the_lease_of_a_slow_step(
        self,
        folder_worker: Worker,
        upkeep: DispatcherStore,
        async_store: TenantJobs,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A step takes longer than a lease, and the worker keeps the job."""
        lease = timedelta(seconds=2)
        monkeypatch.setattr("core.store.roles.worker.LEASE", lease)
        job_id = await submit(async_store, folder_worker.storage, steps=1)
        recovered = []

        def take_long(_: int) -> None:
            time.sleep(lease.total_seconds() + 0.2)
            recovered.append(upkeep.recover_expired_leases()[:2])

        folder_worker.pipeline.at_step = take_long
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.attempts) == (JobState.SUCCEEDED, 1)
        assert recovered == [([], [])]

    async def test_heartbeat_renews_no_lease_that_progress_renewed(
        self, folder_worker: Worker, async_store: TenantJobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Steps of a fifth of a second for three seconds: each is told once, and a beat in between
        asks Redis less.
        """
        monkeypatch.setattr("worker.watch.heartbeat.INTERVAL_SECONDS", 1.0)
        renewed, renew = [], folder_worker.store.renew

        def note(claim: Claim, progress: Progress | None = None) -> None:
            renewed.append(progress)
            renew(claim, progress)

        monkeypatch.setattr(folder_worker.store, "renew", note)
        await submit(async_store, folder_worker.storage, steps=15)
        folder_worker.pipeline.at_step = lambda _: time.sleep(0.2)
        folder_worker.run()
        # a busy machine may lie still between two steps for as long as a beat
        assert renewed.count(None) < 3
        assert len(renewed) > 15


class TestStop:
    async def test_job_that_does_not_fit_is_given_back(
        self, folder_worker: Worker, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """Between two steps, at once, and without counting against the job."""
        job_id = await submit(async_store, folder_worker.storage, steps=50)

        def stop(index: int) -> None:
            if index == 1:
                folder_worker.store.ask_to_stop(folder_worker.name, timedelta(0))
                wait_until(
                    lambda: folder_worker.heartbeat.seconds_to_stop is not None,
                    "the heartbeat hears of it",
                )

        folder_worker.pipeline.at_step = stop
        folder_worker.run()
        assert folder_worker.pipeline.steps_done == 2
        job = read(folder_worker.store, job_id)
        assert (job.status, job.lost_leases, job.progress) == (JobState.QUEUED, 0, None)
        assert redis_server.client.zcard(redis_keys.LEASES) == 0

    async def test_job_that_fits_ends_first(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """A minute of grace is enough for a job that is nearly done."""
        job_id = await submit(async_store, folder_worker.storage, steps=3)

        def stop(index: int) -> None:
            if index == 1:
                folder_worker.store.ask_to_stop(folder_worker.name, timedelta(seconds=60))
                wait_until(
                    lambda: folder_worker.heartbeat.seconds_to_stop is not None,
                    "the heartbeat hears of it",
                )

        folder_worker.pipeline.at_step = stop
        folder_worker.run()
        assert read(folder_worker.store, job_id).status is JobState.SUCCEEDED


class TestRedisAway:
    async def test_finished_video_outlives_a_restart_of_redis(
        self, mortal_redis: RedisServer, settings: Settings, pipeline: StandInPipeline
    ) -> None:
        """It goes away in the last step and is back a moment later; a GPU minute is not thrown
        away.
        """
        worker = Worker(WorkerStore(mortal_redis.url), open_storage(settings), pipeline)
        gateway = TenantJobs(mortal_redis.url)
        job_id = await submit(gateway, worker.storage, steps=2)
        restart = threading.Timer(0.7, mortal_redis.start)

        def lose_redis(index: int) -> None:
            if index == 1:
                mortal_redis.kill()
                restart.start()

        pipeline.at_step = lose_redis
        worker.run()
        restart.join()
        assert read(worker.store, job_id).status is JobState.SUCCEEDED
        worker.heartbeat.end()
        await gateway.close()

    async def test_job_is_run_although_redis_left_right_after_the_claim(
        self, mortal_redis: RedisServer, settings: Settings, pipeline: StandInPipeline
    ) -> None:
        """Otherwise the heartbeat renews the lease of a job that no process runs."""

        class LeavesAfterClaim(WorkerStore):
            def claim(self, worker: str, max_canvas_pixels: int | None = None) -> Claim | None:
                held = super().claim(worker, max_canvas_pixels)
                mortal_redis.kill()
                return held

        worker = Worker(LeavesAfterClaim(mortal_redis.url), open_storage(settings), pipeline)
        gateway = TenantJobs(mortal_redis.url)
        job_id = await submit(gateway, worker.storage, steps=2)
        pipeline.at_step = lambda index: mortal_redis.start() if index == 0 else None
        assert worker.run() == job_id
        assert read(worker.store, job_id).status is JobState.SUCCEEDED
        worker.heartbeat.end()
        await gateway.close()


class TestBrokenDevice:
    async def test_job_is_given_back_and_the_process_has_to_end(
        self,
        folder_worker: Worker,
        operator: OperatorStore,
        async_store: TenantJobs,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """An error without another explanation is followed by a question to the device, which does
        not answer.
        """

        def no_answer(device: str) -> None:
            raise RuntimeError(f"{device} does not answer")

        def break_down(_: int) -> None:
            raise RuntimeError(
                "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`"
            )

        monkeypatch.setattr("worker.jobs.attempt.require_working_device", no_answer)
        folder_worker.pipeline.at_step = break_down
        job_id = await submit(async_store, folder_worker.storage)
        with pytest.raises(DeviceBroken, match="device-side assert"):
            folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.lost_leases, job.error) == (JobState.QUEUED, 0, None)
        (record,) = operator.workers()
        assert record.state == "quarantined"
        assert record.reason == "RuntimeError: CUDA error: device-side assert triggered"
        assert folder_worker.run() is None
