"""Render jobs, from stored drawings to stored outputs."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from core.errors import Unavailable
from core.images.pool import Decoders
from core.objects.object_keys import drawing_key, output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, Output, QualityReport, Stage
from core.records.request import GenerationRequest
from worker.backoff import growing_pauses
from worker.engines.engine import Engine
from worker.export.film import Film
from worker.export.formats import Exported, export_all
from worker.export.png import encode_png
from worker.frames.framing import Pixels
from worker.jobs.keyframes import read_sources
from worker.jobs.progress import JobProgress
from worker.shots.doubling import DrawHalfway, film_of_moving_formats, no_picture_between
from worker.shots.drawing import DrawnVariant, SegmentMemory, draw_shot
from worker.shots.finishing import finish
from worker.shots.preparation import PreparedShot, prepare

PNG = "image/png"
# Of zlib's levels: 6 takes five times as long on a decoder's noise, for a seventh less
# (16 drawings of 512x320, 2026-11-28).
QUICK = 1
UPLOADS_AT_ONCE = 8  # a bucket answers after 10 ms or more, and a shot has a hundred drawings

log = structlog.get_logger("worker")


@dataclass(frozen=True)
class Drawn:
    """A shot whose segments are drawn: nothing of it needs the model any more."""

    shot: PreparedShot
    variants: list[DrawnVariant]


@dataclass(frozen=True)
class Rendered:
    """What the record of a finished job says beside its times."""

    outputs: list[Output]
    quality: list[QualityReport]


@dataclass
class ShotRenderer:
    """Renders jobs with one engine: one is drawn while the one before is finished.

    Args:
        engine: holds the loaded model.
        storage: has the drawings, takes the outputs.
        decoders: read images.
        draw_halfway: draws the new pictures of films whose rate is doubled.
    """

    engine: Engine
    storage: ObjectStorage
    decoders: Decoders
    draw_halfway: DrawHalfway = no_picture_between

    def prepare(self, job: Job) -> PreparedShot:
        """Read a job's drawings and lay them out; any thread may call it.

        Raises:
            Everything that `read_sources` and `prepare` raise.
        """
        sources = read_sources(job, self.storage, self.decoders)
        return prepare(job.request, sources.keys, sources.sketches)

    def draw(self, shot: PreparedShot, progress: JobProgress, memory: SegmentMemory) -> Drawn:
        """Draw each segment of each variant.

        Args:
            shot: as prepared.
            progress: of this attempt.
            memory: of segments that need not be drawn again.

        Raises:
            Everything that `JobProgress.begin`, the engine and the memory raise.
        """
        return Drawn(shot, list(draw_shot(shot, self.engine, progress, memory)))

    def finish(self, job: Job, drawn: Drawn, progress: JobProgress) -> Rendered:
        """Finish the drawings, encode every output and store all, once `EXPORTING` has begun.

        Raises:
            Everything that `JobProgress.begin` and the storage raise.
        """
        shot = drawn.shot
        finished = [finish(shot, variant, progress.check) for variant in drawn.variants]
        films = [variant.film for variant in finished]
        moving = [self._moving(film, shot, progress) for film in films]
        outputs, keys = job.request.outputs, shot.key_drawings
        files = list(export_all(outputs, films, keys, progress.check, moving))
        progress.begin(Stage.UPLOADING)
        for file in files:
            export = file.export
            key = output_key(job.id, job.fence, export.name)
            self._store(key, export.content, export.content_type, progress)
        self._store_drawings(job, films, progress)
        return Rendered(
            outputs=[_describe(file, job.request) for file in files],
            quality=[
                one.quality.model_copy(update={"variant": number})
                for number, one in enumerate(finished, 1)
            ],
        )

    def _moving(self, film: Film, shot: PreparedShot, progress: JobProgress) -> Film:
        def draw_halfway(first: Pixels, last: Pixels) -> Pixels:
            progress.check()
            return self.draw_halfway(first, last)

        return film_of_moving_formats(film, shot, draw_halfway)

    def _store_drawings(self, job: Job, films: list[Film], progress: JobProgress) -> None:
        """Store each drawing as a PNG of its own, so that a caller can look at single ones."""
        keys = {
            drawing_key(job.id, job.fence, variant, index): drawing
            for variant, film in enumerate(films, 1)
            for index, drawing in enumerate(film.drawings)
        }

        def store(key: str) -> None:
            self.storage.put(key, encode_png(keys[key], QUICK), PNG, progress.check_lease)

        with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
            try:
                for key, stored in {key: pool.submit(store, key) for key in keys}.items():
                    try:
                        stored.result()
                    except Unavailable:
                        self._store(key, encode_png(keys[key], QUICK), PNG, progress)
                    progress.check()
            finally:
                pool.shutdown(cancel_futures=True)

    def _store(self, key: str, content: bytes, content_type: str, progress: JobProgress) -> None:
        """Store an object; while the storage fails, wait with the lease kept.

        Raises:
            StorageFailed: the job expired meanwhile.
        """
        for pause in growing_pauses():
            try:
                self.storage.put(key, content, content_type, progress.check_lease)
                break
            except Unavailable as error:
                log.warning("a result cannot be stored, trying again", error=error.detail)
                progress.wait_for_storage(pause)
        progress.storage_is_back()


def _describe(file: Exported, request: GenerationRequest) -> Output:
    export = file.export
    return Output(
        name=export.name,
        format=file.format,
        content_type=export.content_type,
        bytes=len(export.content),
        sha256=hashlib.sha256(export.content).hexdigest(),
        width=export.width,
        height=export.height,
        frames=export.frames,
        fps=request.fps * (request.interpolate if file.moves else 1),
        variant=file.variant,
    )
