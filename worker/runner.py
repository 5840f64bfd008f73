"""One job from keyframes to stored video."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from redis.exceptions import RedisError

from core.errors import (
    CancelRequested,
    InternalFailure,
    JobFailed,
    NotFound,
    NumericalFailure,
    OutOfMemory,
    StaleClaim,
    StorageFailed,
    Unavailable,
)
from core.images import read_rgb
from core.job import NUM_FRAMES, GenerationRequest, Job, ModelInfo, Output, Stage, output_key
from core.job_store import Claim, JobStore
from core.shot import Size
from core.storage import ObjectStorage
from model.pipeline_tooncrafter import NumericalError
from worker.device import peak_memory_bytes, reset_peak_memory
from worker.export import encode_mp4
from worker.framing import cut_out, lay_on_canvas
from worker.heartbeat import Heartbeat
from worker.progress import JobProgress, WorkerStops

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline

COMMIT_PATIENCE_SECONDS = 60.0  # a finished video outlives a restart of Redis; the fence keeps a late commit harmless

log = structlog.get_logger("worker")


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
        max_image_pixels: int,
    ) -> None:
        self.heartbeat = heartbeat
        self._store = store
        self._storage = storage
        self._pipeline = pipeline
        self._model = model
        self._load_seconds = load_seconds  # 0 once a job has told them
        self._max_image_pixels = max_image_pixels

    def run_next(self) -> str | None:
        """Run the best ready job to its end, whatever that is. Answers its id, or None where nothing waits."""
        claim = self._store.claim(self.heartbeat.worker)
        if claim is None:
            return None
        job = claim.job
        with structlog.contextvars.bound_contextvars(job_id=job.id, request_id=job.request_id, attempt=job.attempts):
            self.heartbeat.hold(claim)
            try:
                self._attempt(claim)
            except StaleClaim:
                log.warning("job was given to another worker, this attempt's work is dropped")
            finally:
                self.heartbeat.release()
        return job.id

    def _attempt(self, claim: Claim) -> None:
        """Raises StaleClaim where the job turns out to be another worker's; every other end is written."""
        progress = JobProgress(self._store, claim, self.heartbeat)
        load_seconds, self._load_seconds = self._load_seconds, 0.0
        reset_peak_memory()
        try:
            with _failures_of_a_job():
                outputs = self._generate(claim.job, progress)
            timing = progress.timing(load_seconds)
            self._commit(lambda: self._store.succeed(claim, outputs, timing, self._model_of_job()))
            log.info("job succeeded", **timing.model_dump())
        except JobFailed as error:
            failure, timing = error, progress.timing(load_seconds)
            self._commit(lambda: self._store.fail(claim, failure, timing, self._model_of_job()))
            log.warning("job failed", code=error.code, detail=error.detail)
        except CancelRequested:
            timing = progress.timing(load_seconds)
            self._commit(lambda: self._store.end_canceled(claim, timing, self._model_of_job()))
            log.info("job canceled")
        except WorkerStops:
            self._load_seconds = load_seconds
            self._commit(lambda: self._store.give_back(claim))
            log.info("job given back, the worker stops")

    def _generate(self, job: Job, progress: JobProgress) -> list[Output]:
        progress.begin(Stage.LOADING)
        keyframes = [
            read_rgb(self._storage.get(job.input_key(key.image)), max_pixels=self._max_image_pixels)
            for key in job.request.keyframes
        ]
        canvases, picture = lay_on_canvas(keyframes, Size(job.request.width, job.request.height))
        frames = cut_out(self._interpolate(canvases, job.request, progress), picture)
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
        return self._model.model_copy(update={"peak_memory_bytes": peak_memory_bytes()})

    @staticmethod
    def _commit(write: Callable[[], None]) -> None:
        """Write the end of an attempt, through a short absence of Redis.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        deadline = time.monotonic() + COMMIT_PATIENCE_SECONDS
        while True:
            try:
                return write()
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("commit did not reach Redis, trying again", error=str(error))
                time.sleep(0.5)


@contextmanager
def _failures_of_a_job() -> Iterator[None]:
    """Turn what can go wrong while a job runs into the codes that its record tells."""
    try:
        yield
    except (StaleClaim, CancelRequested, WorkerStops, JobFailed):
        raise
    except torch.OutOfMemoryError as error:
        raise OutOfMemory("the canvas does not fit into the device's memory; a smaller one may") from error
    except NumericalError as error:
        raise NumericalFailure(str(error)) from error
    except (Unavailable, NotFound) as error:
        log.exception("storage failed")
        raise StorageFailed("a keyframe could not be read or a result not be written") from error
    except Exception as error:
        log.exception("unexpected error in a job")
        raise InternalFailure("an unexpected error; the service's log has it under this job's id") from error


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
