"""Render one job, from stored keyframes to stored outputs."""

import hashlib
from fractions import Fraction

import numpy as np
import structlog

from core.errors import Unavailable
from core.images.pool import Decoders
from core.objects.keys import output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, Output, Stage
from core.records.request import FileFormat, GenerationRequest
from core.shots.canvas import Size
from core.shots.shot import timeline_of
from core.shots.timeline import Segment
from worker.engines.engine import Engine, Sampling, SegmentWork
from worker.export.film import Export, Film, Pixels
from worker.export.formats import EXPORTERS
from worker.frames.framing import cut_out, lay_on_canvas
from worker.jobs.backoff import Backoff
from worker.jobs.keyframes import read_keyframes
from worker.jobs.progress import JobProgress

log = structlog.get_logger("worker")


class ShotRenderer:
    """Renders jobs, one after the other, with one engine.

    Args:
        engine: holds the loaded model.
        storage: has the keyframes, takes the outputs.
        decoders: read images.
    """

    def __init__(self, engine: Engine, storage: ObjectStorage, decoders: Decoders) -> None:
        self.engine = engine
        self._storage = storage
        self._decoders = decoders

    def render(self, job: Job, progress: JobProgress) -> list[Output]:
        """Run a job to its stored outputs.

        Raises:
            Everything that `JobProgress.begin`, the engine and the storage raise.
        """
        request = job.request
        canvas = Size(request.width, request.height)

        # 1. Read the keyframes and lay them on the canvas
        progress.begin(Stage.LOADING)
        drawings = read_keyframes(job, self._storage, self._decoders)
        keyframes, picture = lay_on_canvas(drawings, canvas)

        # 2. Draw each segment
        parts: list[Pixels] = []
        for segment in timeline_of(request).segments:
            work = _work_of(segment, keyframes, request)
            drawn = self.engine.draw(work, progress)
            parts += [drawn.first[None]] if not parts else []
            parts += [drawn.drawings, drawn.last[None]]
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


def _work_of(segment: Segment, keyframes: list[Pixels], request: GenerationRequest) -> SegmentWork:
    return SegmentWork(
        first=keyframes[segment.first],
        last=keyframes[segment.last],
        positions=segment.positions,
        passes=segment.passes,
        sampling=Sampling(
            steps=request.steps,
            eta=request.eta,
            guidance_scale=request.guidance_scale,
            guidance_rescale=request.guidance_rescale,
            frame_stride=request.frame_stride,
            sketch_scale=request.sketch_scale,
        ),
        seed=request.seed,
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
    )


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
