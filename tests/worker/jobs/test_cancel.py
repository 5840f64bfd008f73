"""A job whose caller wants it no more, as its worker sees it."""

from collections.abc import Callable
from datetime import timedelta

from core.objects.body import Check
from core.objects.local import LocalStorage
from core.objects.signed_links import SignedLinks
from core.records.job import JobState
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from model.pipeline_tooncrafter import NumericalError
from testkit.servers import RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import StandInPipeline, Worker, cancel, read, submit


class TestCancel:
    async def test_running_job_ends_within_a_step(
        self,
        folder_worker: Worker,
        async_store: TenantJobs,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """The caller gave up in the third of ten steps; no result is stored, and the worker takes
        the next job.
        """
        job_id = await submit(async_store, folder_worker.storage, steps=10)
        before = stored_keys()
        folder_worker.pipeline.at_step = lambda index: (
            cancel(redis_server, job_id) if index == 2 else None
        )
        assert folder_worker.run() == job_id
        assert folder_worker.pipeline.steps_done == 3
        job = read(folder_worker.store, job_id)
        assert job.cancel_requested_at is not None
        assert (job.status, job.error, job.outputs, job.progress) == (
            JobState.CANCELED,
            None,
            [],
            None,
        )
        assert job.finished_at is not None
        assert job.timing.run_seconds > 0
        assert stored_keys() == before

        folder_worker.pipeline.at_step = lambda _: None
        following = await submit(async_store, folder_worker.storage)
        folder_worker.run()
        assert read(folder_worker.store, following).status is JobState.SUCCEEDED

    async def test_queued_job_is_never_claimed(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Its message is still on the way, and finds nothing."""
        job_id = await submit(async_store, folder_worker.storage)
        await async_store.cancel(job_id)
        assert folder_worker.run() is None
        assert folder_worker.pipeline.seen == []

    async def test_heartbeat_goes_on_while_a_slow_step_ends(
        self, folder_worker: Worker, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """It hears of the wish first; the lease has to hold until the computing thread does."""
        job_id = await submit(async_store, folder_worker.storage, steps=2)

        def cancel_and_beat(_: int) -> None:
            cancel(redis_server, job_id)
            before = redis_server.client.zscore(redis_keys.LEASES, job_id)
            wait_until(
                lambda: redis_server.client.zscore(redis_keys.LEASES, job_id) > before,
                "the lease is renewed",
            )

        folder_worker.pipeline.at_step = cancel_and_beat
        folder_worker.run()
        assert folder_worker.pipeline.steps_done == 1
        assert read(folder_worker.store, job_id).status is JobState.CANCELED

    async def test_cancel_during_export_still_counts(
        self,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
        settings: Settings,
        pipeline: StandInPipeline,
    ) -> None:
        """The caller was told that the job is being canceled, so no result may appear
        afterwards.
        """

        class CancelsDuringUpload(LocalStorage):
            def put(
                self, key: str, data: bytes, content_type: str, check: Check | None = None
            ) -> None:
                super().put(key, data, content_type, check)
                if key.endswith("video.mp4"):
                    cancel(redis_server, job_id)

        worker = Worker(
            store,
            CancelsDuringUpload(
                settings.state_dir / "objects", SignedLinks(settings.state_dir / "secret")
            ),
            pipeline,
        )
        job_id = await submit(async_store, worker.storage)
        worker.run()
        worker.heartbeat.end()
        job = read(store, job_id)
        assert (job.status, job.outputs) == (JobState.CANCELED, [])

    async def test_failure_after_a_cancel_is_a_canceled_job(
        self, folder_worker: Worker, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """A canceled job reports no error; the log has it."""

        def cancel_and_break_down(_: int) -> None:
            cancel(redis_server, job_id)
            raise NumericalError("latents are not finite")

        job_id = await submit(async_store, folder_worker.storage)
        folder_worker.pipeline.at_step = cancel_and_break_down
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.error) == (JobState.CANCELED, None)

    async def test_worker_that_stops_does_not_give_back_a_canceled_job(
        self,
        folder_worker: Worker,
        operator: OperatorStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """Else another worker would begin it only to end it."""
        job_id = await submit(async_store, folder_worker.storage, steps=50)

        def stop_and_cancel(_: int) -> None:
            folder_worker.store.ask_to_stop(folder_worker.name, timedelta(0))
            wait_until(
                lambda: folder_worker.heartbeat.seconds_to_stop is not None,
                "the heartbeat hears of it",
            )
            cancel(redis_server, job_id)

        folder_worker.pipeline.at_step = stop_and_cancel
        folder_worker.run()
        assert read(folder_worker.store, job_id).status is JobState.CANCELED
        assert operator.count_ready() == 0
