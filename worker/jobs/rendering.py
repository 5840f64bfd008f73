"""Render one job, from stored keyframes to stored outputs."""

import hashlib
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
import torch

from core.errors import Unavailable
from core.images.pool import Decoders
from core.objects.keys import output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, Output, Stage
from core.records.request import FileFormat, GenerationRequest
from core.shots.canvas import Size
from core.shots.passes import NUM_FRAMES
from core.shots.shot import timeline_of
from worker.export.film import Export, Film, Pixels
from worker.export.formats import EXPORTERS
from worker.frames.framing import cut_out, lay_on_canvas
from worker.gpu.memory import DeviceMemory
from worker.gpu.parts import call_between, interruptible_parts
from worker.jobs.backoff import Backoff
from worker.jobs.keyframes import read_keyframes
from worker.jobs.progress import JobProgress

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline


log = structlog.get_logger("worker")


class ShotRenderer:
    """Renders jobs, one after the other, with one loaded pipeline.

    Args:
        pipeline: placed on its device.
        memory: of that device.
        storage: has the keyframes, takes the outputs.
        decoders: read images.
    """

    def __init__(
        self,
        pipeline: "ToonCrafterPipeline",
        memory: DeviceMemory,
        storage: ObjectStorage,
        decoders: Decoders,
    ) -> None:
        self._pipeline = pipeline
        self._memory = memory
        self._storage = storage
        self._decoders = decoders
        self._progress: JobProgress | None = None
        call_between(interruptible_parts(pipeline.components), self._check)

    def render(self, job: Job, progress: JobProgress) -> list[Output]:
        """Run a job to its stored outputs.

        Raises:
            Everything that `JobProgress.begin` and the storage raise, and `OutOfMemory`.
        """
        self._progress = progress
        try:
            return self._render(job, progress)
        finally:
            self._progress = None

    def _render(self, job: Job, progress: JobProgress) -> list[Output]:
        request = job.request
        canvas = Size(request.width, request.height)

        # 1. Read the keyframes and lay them on the canvas
        progress.begin(Stage.LOADING)
        drawings = read_keyframes(job, self._storage, self._decoders)
        keyframes, picture = lay_on_canvas(drawings, canvas)

        # 2. Run the model for each segment
        parts: list[Pixels] = []
        for segment in timeline_of(request).segments:
            keys = [keyframes[segment.first], keyframes[segment.last]]
            draw = partial(self._draw, keys, request, progress)
            frames = self._memory.fit(canvas, draw)
            parts.append(frames[1 if parts else 0 :])
        frames = cut_out(np.concatenate(parts), picture)

        # 3. Encode every output, then store all
        progress.begin(Stage.EXPORTING)
        film = Film(frames, exposures=[1] * len(frames), rate=request.fps)
        exports = {
            output.format: EXPORTERS[output.format](film, progress.check)
            for output in request.outputs
        }
        progress.begin(Stage.UPLOADING)
        for export in exports.values():
            self._upload(job, export, progress)
        return [_describe(export, name, request.fps) for name, export in exports.items()]

    def _draw(
        self,
        keyframes: list[Pixels],
        request: GenerationRequest,
        progress: JobProgress,
    ) -> Pixels:
        """Run the model once; return `(NUM_FRAMES, height, width, 3)` on the canvas."""

        def on_step_end(_: Any, index: int, __: Any, ___: Any) -> dict[str, Any]:
            progress.step(index + 1)
            return {}

        device = self._pipeline._execution_device
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
            generator=torch.Generator(device).manual_seed(request.seed),
            callback_on_step_end=on_step_end,
            callback_on_stage=lambda stage: progress.begin(Stage(stage)),
        )
        frames: Pixels = result.frames
        return frames

    def _upload(self, job: Job, export: Export, progress: JobProgress) -> None:
        """Store an output; while the storage fails, wait with the lease kept.

        Raises:
            StorageFailed: the job expired meanwhile.
        """
        key = output_key(job.id, job.fence, export.name)
        backoff = Backoff()
        while True:
            try:
                self._storage.put(key, export.content, export.content_type)
            except Unavailable as error:
                log.warning("a result cannot be stored, trying again", error=error.detail)
                progress.wait_for_storage(backoff.next_pause())
            else:
                progress.storage_is_back()
                return

    def _check(self) -> None:
        if self._progress is not None:
            self._progress.check()


def _describe(export: Export, file_format: FileFormat, fps: Fraction) -> Output:
    return Output(
        name=export.name,
        format=file_format,
        content_type=export.content_type,
        bytes=len(export.content),
        sha256=hashlib.sha256(export.content).hexdigest(),
        width=export.width,
        height=export.height,
        frames=export.frames,
        fps=fps,
    )
