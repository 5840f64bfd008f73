"""One job from keyframes to stored video."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from redis.exceptions import RedisError

from core.errors import CancelRequested, JobFailed, StaleClaim
from core.images.pool import Decoders
from core.objects.keys import output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, Output, Stage
from core.records.request import GenerationRequest
from core.records.worker import ModelInfo
from core.shots.canvas import Size
from core.shots.segments import NUM_FRAMES
from core.store.roles.worker import Claim, JobStore
from worker.export.mp4 import encode_mp4
from worker.frames.framing import cut_out, lay_on_canvas
from worker.gpu.device import require_working_device
from worker.gpu.memory import DeviceMemory
from worker.jobs.failures import failures_of_a_job
from worker.jobs.interruptions import DeviceBroken, WorkerStops
from worker.jobs.keyframes import read_keyframes
from worker.jobs.progress import JobProgress
from worker.jobs.trace import AttemptTrace
from worker.watch.heartbeat import Heartbeat
from worker.watch.metrics import EMPTY

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline

# a finished video outlives a restart of Redis; the fence keeps a late commit harmless
COMMIT_PATIENCE_SECONDS = 60.0

log = structlog.get_logger("worker")


@dataclass(frozen=True)
class Limits:
    """What one worker takes.

    Attributes:
        max_canvas_pixels: of the canvas; larger jobs are left to other workers. None for any.
        job_timeout: of one attempt.
    """

    max_canvas_pixels: int | None
    job_timeout: timedelta


class Runner:
    """Holds the loaded pipeline and runs one job after the other with it."""

    def __init__(
        self,
        store: JobStore,
        storage: ObjectStorage,
        heartbeat: Heartbeat,
        pipeline: "ToonCrafterPipeline",
        model: ModelInfo,
        load_seconds: float,
        limits: Limits,
        memory: DeviceMemory,
        decoders: Decoders,
    ) -> None:
        self.heartbeat = heartbeat
        self._store = store
        self._storage = storage
        self._pipeline = pipeline
        self._model = model
        self._load_seconds = load_seconds  # 0 once a job has told them
        self._limits = limits
        self._memory = memory
        self._decoders = decoders

    def run_next(self) -> str | None:
        """Run the best ready job that fits to its end, whatever that is. Answers its id, or None
        where none waits.

        Raises:
            DeviceBroken: this process can compute no more; its job was given back and its worker
                quarantined.
        """
        claim = self._store.claim(self.heartbeat.worker, self._limits.max_canvas_pixels)
        if claim is None:
            self.heartbeat.ended(EMPTY)
            return None
        job = claim.job
        trace = AttemptTrace(job, self.heartbeat.worker, self._model.device)
        with structlog.contextvars.bound_contextvars(
            job_id=job.id,
            request_id=job.request_id,
            tenant=job.tenant,
            attempt=job.attempts,
            **trace.ids,
        ):
            self.heartbeat.hold(claim)
            try:
                self._attempt(claim, trace)
            except StaleClaim:
                self.heartbeat.ended("stale")
                trace.end("stale")
                log.warning("job was given to another worker, this attempt's work is dropped")
            finally:
                trace.end("broken_off")
                self.heartbeat.release()
        return job.id

    def _attempt(self, claim: Claim, trace: AttemptTrace) -> None:
        """Raises StaleClaim where the job turns out to be another worker's; every other end is
        written.
        """
        progress = JobProgress(self._store, claim, self.heartbeat, self._limits.job_timeout, trace)
        load_seconds, self._load_seconds = self._load_seconds, 0.0
        self._memory.begin_job()
        try:
            with failures_of_a_job(lambda: require_working_device(self._memory.device)):
                outputs = self._generate(claim.job, progress)
            timing = progress.timing(load_seconds)
            self._commit(lambda: self._store.succeed(claim, outputs, timing, self._model_of_job()))
            self.heartbeat.ended("succeeded", timing, self._memory.peak_bytes())
            trace.end("succeeded")
            log.info("attempt succeeded", run_seconds=timing.run_seconds)
        except JobFailed as error:
            failure, timing = error, progress.timing(load_seconds)
            self._commit(lambda: self._store.fail(claim, failure, timing, self._model_of_job()))
            self.heartbeat.ended("failed", timing, self._memory.peak_bytes())
            trace.end("failed", error.code)
            log.warning("attempt failed", code=error.code, detail=error.detail)
        except CancelRequested:
            timing = progress.timing(load_seconds)
            self._commit(lambda: self._store.end_canceled(claim, timing, self._model_of_job()))
            self.heartbeat.ended("canceled", timing)
            trace.end("canceled")
            log.info("attempt canceled")
        except WorkerStops:
            self._load_seconds = load_seconds
            self._commit(lambda: self._store.give_back(claim))
            self.heartbeat.ended("given_back")
            trace.end("given_back")
            log.info("job given back, the worker stops")
        except DeviceBroken as error:
            self._report_sick(claim, str(error))
            trace.end("device_broken")
            raise

    def _report_sick(self, claim: Claim, reason: str) -> None:
        worker, place = self.heartbeat.worker, self.heartbeat.place
        self._commit(lambda: self._store.report_sick(claim, worker, place, reason))
        self.heartbeat.ended("device_broken")
        log.error(
            "device broken, job given back and worker quarantined", reason=reason, place=place
        )

    def _generate(self, job: Job, progress: JobProgress) -> list[Output]:
        progress.begin(Stage.LOADING)
        keyframes = read_keyframes(job, self._storage, self._decoders)
        canvas = Size(job.request.width, job.request.height)
        canvases, picture = lay_on_canvas(keyframes, canvas)
        frames = self._memory.fit(
            canvas, lambda: self._interpolate(canvases, job.request, progress)
        )
        frames = cut_out(frames, picture)
        progress.begin(Stage.EXPORTING)
        video = encode_mp4(frames, job.request.fps)
        progress.begin(Stage.UPLOADING)
        output = _describe_mp4(video, frames, job.request.fps)
        self._storage.put(output_key(job.id, job.fence, output.name), video, output.content_type)
        return [output]

    def _interpolate(
        self, keyframes: list[NDArray[np.uint8]], request: GenerationRequest, progress: JobProgress
    ) -> NDArray[np.uint8]:
        """The drawings on the canvas, uint8 `(frames, height, width, 3)`; so are the keyframes."""

        def on_step_end(_: Any, index: int, __: Any, ___: Any) -> dict[str, Any]:
            progress.step(index + 1)
            return {}

        result = self._pipeline(
            keyframes=keyframes,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            height=request.height,
            width=request.width,
            num_frames=NUM_FRAMES,
            frame_stride=request.frame_stride,
            num_inference_steps=request.steps,
            eta=request.eta,
            guidance_scale=request.guidance_scale,
            guidance_rescale=request.guidance_rescale,
            generator=torch.Generator(self._pipeline._execution_device).manual_seed(request.seed),
            callback_on_step_end=on_step_end,
            callback_on_stage=lambda stage: progress.begin(Stage(stage)),
        )
        frames: NDArray[np.uint8] = result.frames
        return frames

    def _model_of_job(self) -> ModelInfo:
        return self._model.model_copy(update={"peak_memory_bytes": self._memory.peak_bytes()})

    @staticmethod
    def _commit(write: Callable[[], object]) -> None:
        """Write the end of an attempt, through a short absence of Redis.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        deadline = time.monotonic() + COMMIT_PATIENCE_SECONDS
        while True:
            try:
                write()
                return
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("commit did not reach Redis, trying again", error=str(error))
                time.sleep(0.5)


def _describe_mp4(video: bytes, frames: NDArray[np.uint8], fps: int) -> Output:
    count, height, width, _ = frames.shape
    return Output(
        name="video.mp4",
        format="mp4",
        content_type="video/mp4",
        bytes=len(video),
        sha256=hashlib.sha256(video).hexdigest(),
        width=width,
        height=height,
        frames=count,
        fps=fps,
    )
