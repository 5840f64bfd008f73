"""One job in a worker: how it ends, whatever happens meanwhile."""

import io
import time
from collections.abc import Callable
from datetime import timedelta

import av
import pytest

from core.objects.object_keys import input_key, output_key
from core.objects.storage import open_storage
from core.records.job import JobState
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from model.pipeline_tooncrafter import NumericalError
from testkit.jobs import MODEL, png
from testkit.servers import RedisServer
from testkit.store.steps import now_ms
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import IMAGE, StandInPipeline, Worker, read, submit


class TestSuccess:
    async def test_video_is_stored_and_visible(
        self,
        worker: Worker,
        async_store: TenantJobs,
        stored_keys: Callable[[], set[str]],
        any_settings: Settings,
    ) -> None:
        """Under the attempt's own key, described as it is."""
        job_id = await submit(async_store, worker.storage, fps=12)
        assert worker.run() == job_id
        job = read(worker.store, job_id)
        (output,) = job.outputs
        key = output_key(job_id, job.fence, "video.mp4")
        assert key in stored_keys()
        assert len(worker.storage.get(key)) == output.bytes
        assert (output.width, output.height, output.frames, output.fps) == (128, 80, 16, 12)
        assert (job.status, job.error, job.progress) == (JobState.SUCCEEDED, None, None)
        assert job.model is not None
        assert job.model.trained is False

    async def test_pipeline_gets_the_request(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Every field that the caller set, and the keyframes as pixels."""
        await submit(
            async_store, folder_worker.storage, steps=3, prompt="a fox", seed=11, guidance_scale=4.0
        )
        folder_worker.run()
        (arguments,) = folder_worker.pipeline.seen
        assert [keyframe.shape for keyframe in arguments["keyframes"]] == [(128, 128, 3)] * 2
        assert (
            arguments["prompt"],
            arguments["num_inference_steps"],
            arguments["guidance_scale"],
        ) == ("a fox", 3, 4.0)
        assert arguments["generator"].initial_seed() == 11

    async def test_video_has_the_shape_of_the_first_drawing(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """What fills the canvas around it is cut away: drawings of 64x40 on a square canvas are no
        square video.
        """
        job_id = await submit(async_store, folder_worker.storage, width=256, height=256)
        folder_worker.run()
        (output,) = read(folder_worker.store, job_id).outputs
        with av.open(
            io.BytesIO(folder_worker.storage.get(output_key(job_id, 1, output.name)))
        ) as video:
            frame = next(video.decode(video=0))
        assert (output.width, output.height) == (frame.width, frame.height) == (256, 160)

    async def test_progress_grows_to_the_end(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Each step is seen, with the time that is left once it can be told."""
        job_id = await submit(async_store, folder_worker.storage, steps=4)
        seen = []
        folder_worker.pipeline.at_step = lambda _: seen.append(
            read(folder_worker.store, job_id).progress
        )
        folder_worker.run()
        assert [progress.step for progress in seen if progress] == [0, 1, 2, 3]
        percents = [progress.percent for progress in seen if progress]
        assert percents == sorted(set(percents))
        assert [progress.eta_seconds is not None for progress in seen if progress] == [
            False,
            True,
            True,
            True,
        ]

    async def test_load_time_stands_in_the_first_job(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """The model is loaded once, so only one job waited for it."""
        ids = [await submit(async_store, folder_worker.storage) for _ in range(2)]
        for _ in ids:
            folder_worker.run()
        loads = sorted(
            read(folder_worker.store, job_id).timing.model_load_seconds for job_id in ids
        )
        assert loads == [0.0, 2.5]

    def test_nothing_to_do(self, folder_worker: Worker) -> None:
        """A message that came twice or late."""
        assert folder_worker.run() is None
        assert folder_worker.pipeline.seen == []


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (NumericalError("latents are not finite"), "numerical_error"),
            (RuntimeError("cuDNN failed in /opt/secret/model.py"), "internal"),
        ],
    )
    async def test_error_becomes_a_code(
        self, folder_worker: Worker, async_store: TenantJobs, error: Exception, code: str
    ) -> None:
        """The record tells it without trace or path, and the worker takes the next job."""

        def break_down(_: int) -> None:
            raise error

        job_id = await submit(async_store, folder_worker.storage)
        folder_worker.pipeline.at_step = break_down
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.outputs) == (JobState.FAILED, [])
        assert job.error is not None
        assert job.error.code == code
        assert not any(word in job.error.detail for word in ("Traceback", "/opt", "cuDNN", ".py"))

        folder_worker.pipeline.at_step = lambda _: None
        following = await submit(async_store, folder_worker.storage)
        folder_worker.run()
        assert read(folder_worker.store, following).status is JobState.SUCCEEDED

    async def test_keyframe_that_is_gone(self, worker: Worker, async_store: TenantJobs) -> None:
        """Storage is asked before the GPU is."""
        job_id = await submit(async_store, worker.storage)
        worker.storage.delete_prefix(f"jobs/{job_id}/")
        worker.run()
        job = read(worker.store, job_id)
        assert job.error is not None
        assert job.error.code == "storage_failed"
        assert worker.pipeline.seen == []

    async def test_keyframe_that_was_exchanged(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Bytes that were stored past the gateway, and so never inspected, are not decoded."""
        job_id = await submit(async_store, worker.storage)
        worker.storage.put(input_key(job_id, IMAGE), png(color="red"), IMAGE.content_type)
        worker.run()
        job = read(worker.store, job_id)
        assert job.error is not None
        assert (job.error.code, worker.pipeline.seen) == ("storage_failed", [])

    async def test_result_that_cannot_be_written_until_the_job_expires(
        self,
        store: WorkerStore,
        async_store: TenantJobs,
        settings: Settings,
        pipeline: StandInPipeline,
        redis_server: RedisServer,
    ) -> None:
        """A file stands where the folder of the results should be, which stops even root."""
        storage = open_storage(settings)
        worker = Worker(store, storage, pipeline)
        job_id = await submit(async_store, storage)
        (settings.state_dir / "objects" / "jobs" / job_id / "outputs").touch()
        redis_server.client.hset(redis_keys.JOB + job_id, "expires", now_ms(redis_server) + 1_500)
        worker.run()
        worker.heartbeat.end()
        job = read(store, job_id)
        assert job.error is not None
        assert (job.error.code, job.outputs) == ("storage_failed", [])


class TestHeartbeat:
    def test_live_worker_is_seen_and_goes_in_order(
        self, folder_worker: Worker, operator: OperatorStore
    ) -> None:
        """From the load of its model to its end."""
        (record,) = operator.workers()
        assert (record.name, record.state, record.model_loads, record.model) == (
            "gpu-1:7",
            "idle",
            1,
            MODEL,
        )
        folder_worker.heartbeat.end()
        assert operator.workers() == []

    async def test_busy_while_it_computes(
        self, folder_worker: Worker, operator: OperatorStore, async_store: TenantJobs
    ) -> None:
        """The dispatcher sends nothing to it meanwhile, and the next message as soon as it is
        free.
        """
        await submit(async_store, folder_worker.storage, steps=1)
        states = []
        folder_worker.pipeline.at_step = lambda _: states.append(operator.workers()[0].state)
        folder_worker.run()
        states.append(operator.workers()[0].state)
        assert states == ["busy", "idle"]


class TestDeadline:
    async def test_attempt_ends_at_the_first_step_past_it(
        self,
        store: WorkerStore,
        async_store: TenantJobs,
        settings: Settings,
        pipeline: StandInPipeline,
    ) -> None:
        """The clock starts with the attempt; the job fails and the worker takes the next one."""
        worker = Worker(store, open_storage(settings), pipeline, job_timeout=timedelta(seconds=1))
        pipeline.at_step = lambda index: time.sleep(1.1) if index == 1 else None
        job_id = await submit(async_store, worker.storage, steps=10)
        worker.run()
        job = read(store, job_id)
        assert job.error is not None
        assert (job.status, job.error.code, job.outputs) == (
            JobState.FAILED,
            "deadline_exceeded",
            [],
        )
        assert "1 s" in job.error.detail
        assert pipeline.steps_done == 2

        pipeline.at_step = lambda _: None
        following = await submit(async_store, worker.storage)
        worker.run()
        worker.heartbeat.end()
        assert read(store, following).status is JobState.SUCCEEDED


class TestLimits:
    async def test_larger_canvas_is_left_to_others(
        self,
        store: WorkerStore,
        async_store: TenantJobs,
        settings: Settings,
        pipeline: StandInPipeline,
    ) -> None:
        """It keeps its place, whatever else this worker runs."""
        worker = Worker(store, open_storage(settings), pipeline, max_canvas_pixels=128 * 128)
        large = await submit(async_store, worker.storage, width=192, height=128)
        small = await submit(async_store, worker.storage, width=128, height=128)
        assert [worker.run() for _ in range(2)] == [small, None]
        worker.heartbeat.end()
        assert read(store, large).status is JobState.QUEUED
