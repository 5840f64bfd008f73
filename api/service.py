"""What each operation does, free of HTTP."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from anyio import fail_after, to_thread

from api.bodies import Submission
from api.schemas import InterpolationBody
from core.errors import InvalidRequest, NotFound, Problem, ServiceError, Unavailable
from core.images import UnreadableImage, inspect_image
from core.job import (
    GenerationRequest,
    Job,
    Keyframe,
    Output,
    StoredImage,
    input_key,
    job_prefix,
    new_job_id,
    output_key,
)
from core.job_store import AsyncJobStore
from core.settings import Settings
from core.shot import canvas_for
from core.storage import ObjectStorage

PATIENCE_SECONDS = 1.0  # with a storage that is asked whether it is there; a transfer may take longer

log = structlog.get_logger("api")


class Interpolations:
    """The jobs of this deployment, as the gateway serves them."""

    def __init__(self, store: AsyncJobStore, storage: ObjectStorage, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._max_pixels = settings.max_image_pixels
        self._result_ttl = settings.result_ttl
        self._link_ttl = settings.presigned_ttl

    async def submit(self, submission: Submission, request_id: str) -> Job:
        """Accept a job: judge its images, store them, then make it exist in one step.

        Raises:
            InvalidRequest: an image cannot be used; nothing is left behind.
            Unavailable: Redis or the storage does not answer.
        """
        images, problems = await self._judge(submission.images)
        body, ttl = submission.body, self._result_ttl
        if body and body.expires_in:
            ttl = timedelta(seconds=body.expires_in)
            problems += self._too_long(ttl)
        if body is None or submission.problems or problems:
            raise InvalidRequest.of([*submission.problems, *problems])
        request = _as_understood(body, images)
        job_id = new_job_id()
        await self._store.ping()  # a Redis that is away is noticed before anything is stored
        await self._store_inputs(job_id, images, submission.images)
        return await self._store.submit(job_id, request, metadata=body.metadata, ttl=ttl, request_id=request_id)

    async def get(self, job_id: str) -> tuple[Job, int | None]:
        """The job and its place in the queue.

        Raises:
            NotFound: there is none of this id.
            Unavailable: Redis does not answer.
        """
        job = await self._store.get(job_id)
        if job is None:
            raise NotFound(f"there is no interpolation {job_id}")
        return job, await self._store.queue_position(job)

    def link(self, job: Job, output: Output) -> tuple[str, datetime] | None:
        """A link to the stored result and the end of its life; None where the gateway has to serve it itself."""
        url = self._storage.presigned_url(
            output_key(job.id, job.fence, output.name), self._link_ttl, output.content_type
        )
        return (url, datetime.now(UTC) + self._link_ttl) if url else None

    async def open_output(self, job_id: str, name: str) -> tuple[str | Path, Output]:
        """Where a result can be read: a link, or a file on this machine.

        Raises:
            NotFound: there is no such job, or it has no such output (yet).
        """
        job, _ = await self.get(job_id)
        output = next((output for output in job.outputs if output.name == name), None)
        if output is None:
            raise NotFound(f"interpolation {job_id} is {job.status} and has no output {name}")
        link = self.link(job, output)
        if link:
            return link[0], output
        path = self._storage.local_path(output_key(job.id, job.fence, name))
        if path is None or not path.is_file():
            raise NotFound(f"the output {name} of interpolation {job_id} is gone")
        return path, output

    async def check(self) -> dict[str, str]:
        """What does not answer, by name; empty where all is well."""
        failing = {}
        try:
            await self._store.ping()
        except Unavailable as error:
            failing["redis"] = error.detail
        try:
            with fail_after(PATIENCE_SECONDS):
                await to_thread.run_sync(self._storage.ping, abandon_on_cancel=True)
        except ServiceError as error:
            failing["storage"] = error.detail
        except TimeoutError:
            failing["storage"] = f"the object storage did not answer within {PATIENCE_SECONDS} s"
        return failing

    def _too_long(self, ttl: timedelta) -> list[Problem]:
        if ttl <= self._result_ttl:
            return []
        most, came = (int(duration.total_seconds()) for duration in (self._result_ttl, ttl))
        return [Problem("/expires_in", "out_of_range", f"`expires_in` has to be at most {most} but is {came}")]

    async def _judge(self, images: dict[str, bytes]) -> tuple[dict[str, StoredImage], list[Problem]]:
        """Decode every image, off the event loop; what is good and what is wrong, by pointer."""
        judged: dict[str, StoredImage] = {}
        problems: list[Problem] = []
        for pointer, data in images.items():
            try:
                judged[pointer] = await to_thread.run_sync(_describe_image, data, self._max_pixels)
            except UnreadableImage as error:
                problems.append(Problem(pointer, "unreadable_image", f"the image {error}"))
        return judged, problems

    async def _store_inputs(self, job_id: str, images: dict[str, StoredImage], data: dict[str, bytes]) -> None:
        try:
            for pointer, image in images.items():
                key = input_key(job_id, image)
                await to_thread.run_sync(self._storage.put, key, data[pointer], image.content_type)
        except Unavailable:
            await self._discard(job_id)
            raise

    async def _discard(self, job_id: str) -> None:
        try:
            await to_thread.run_sync(self._storage.delete_prefix, job_prefix(job_id))
        except Unavailable as error:
            log.warning("objects of a refused job stay behind", job_id=job_id, error=error.detail)


def _describe_image(data: bytes, max_pixels: int) -> StoredImage:
    facts = inspect_image(data, max_pixels=max_pixels)
    return StoredImage(
        sha256=hashlib.sha256(data).hexdigest(),
        content_type=facts.content_type,
        width=facts.width,
        height=facts.height,
        bytes=len(data),
    )


def _as_understood(body: InterpolationBody, images: dict[str, StoredImage]) -> GenerationRequest:
    """Fill in what the caller left open, so that the record alone reproduces the result."""
    keyframes = [Keyframe(image=image) for image in images.values()]
    first = keyframes[0].image
    width, height = (body.width, body.height) if body.width and body.height else canvas_for(first.width, first.height)
    seed = secrets.randbits(32) if body.seed is None else body.seed
    as_sent = body.model_dump(include=set(GenerationRequest.model_fields))
    return GenerationRequest.model_validate(
        as_sent | {"keyframes": keyframes, "seed": seed, "width": width, "height": height}
    )
