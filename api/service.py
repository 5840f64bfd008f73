"""What each operation does, free of HTTP."""

import hashlib
import json
import secrets
from copy import copy
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

import structlog
from anyio import fail_after, to_thread

from api.bodies import RemoteImage, Submission
from api.caller import Caller
from api.inputs import Input, Inputs, unstored, uploads_of
from api.schemas import InterpolationBody
from api.watching import JobWatch
from api.webhooks import JudgedWebhook, Webhooks
from core.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    JobNotFinished,
    NotFound,
    Problem,
    QueueFull,
    ServiceError,
    TooManyJobs,
    Unavailable,
)
from core.job import (
    GenerationRequest,
    Job,
    JobState,
    Keyframe,
    Output,
    job_prefix,
    new_job_id,
    output_key,
)
from core.job_record import QueuedView
from core.job_store_async import AsyncJobStore, Deletion, IdempotencyKey, Outcome
from core.job_store_async import Submission as SubmissionResult
from core.job_view import output_link
from core.settings import Settings
from core.shot import canvas_for
from core.storage import ObjectStorage
from core.tenants import DEFAULT_TENANT

PATIENCE_SECONDS = 1.0  # with a storage that is asked whether it is there; a transfer may take longer

log = structlog.get_logger("api")


class Accepted(NamedTuple):
    """What a submission came to; `replayed` where the caller's key had made the job before."""

    view: QueuedView
    replayed: bool


class Understood(NamedTuple):
    """A valid submission: its images judged, by pointer, its defaults filled in, its job's time to live."""

    body: InterpolationBody
    inputs: dict[str, Input]
    request: GenerationRequest
    ttl: timedelta
    webhook: JudgedWebhook


class Page(NamedTuple):
    """Some jobs, and the id after which the next ones begin."""

    views: list[QueuedView]
    next_after: str | None


class Interpolations:
    """A tenant's jobs, as the gateway serves them: the default tenant's, or those that `of` answers."""

    def __init__(
        self,
        store: AsyncJobStore,
        storage: ObjectStorage,
        inputs: Inputs,
        webhooks: Webhooks,
        watch: JobWatch,
        settings: Settings,
    ) -> None:
        self._watch = watch
        self._tenant = DEFAULT_TENANT
        self._webhooks = webhooks
        self._store = store
        self._storage = storage
        self._inputs = inputs
        self._result_ttl = settings.result_ttl
        self._limits = settings.tenant_limits
        self._link_ttl = settings.presigned_ttl

    def of(self, caller: Caller) -> Self:
        """The jobs of this caller's tenant, within its limits; another tenant's are not there."""
        other = copy(self)
        other._tenant, other._limits = caller.tenant, caller.limits
        other._store = self._store.of(caller.tenant, caller.limits)
        return other

    @property
    def watch(self) -> JobWatch:
        """To wait for changes of these jobs."""
        return self._watch.of(self._store)

    async def submit(self, submission: Submission, request_id: str, idempotency_key: str | None) -> Accepted:
        """Accept a job: judge its images, store them, then make it exist in one step.

        Raises:
            InvalidRequest: an image cannot be used; nothing is left behind.
            IdempotencyKeyReused: the key came with another request before.
            NotFound: the key's job has been deleted meanwhile.
            TooManyJobs: as many of the tenant's jobs wait as may wait.
            QueueFull: as many jobs of all tenants wait as may wait.
            Unavailable: Redis or the storage does not answer.
        """
        if idempotency_key and (earlier := await self._recall(submission, idempotency_key)):
            return _accepted(earlier)
        body, inputs, request, ttl, webhook = await self.understand(submission)
        job_id = new_job_id()
        identities = [one.identity for one in inputs.values()]
        key = _idempotency(self._tenant, idempotency_key, body, identities) if idempotency_key else None
        stores = bool(unstored(inputs))
        if stores:
            reservation = await self._store.reserve(job_id, key)
            if reservation.outcome is not Outcome.RESERVED:
                return _accepted(reservation)
            await self._store_inputs(job_id, inputs)
        result = await self._store.submit(
            job_id,
            request,
            metadata=body.metadata,
            ttl=ttl,
            request_id=request_id,
            idempotency=key,
            reserved=stores,
            uploads=uploads_of(inputs),
            webhook=webhook.webhook,
            warnings=webhook.warnings,
        )
        if stores and result.outcome is not Outcome.CREATED:
            await self._discard(job_id)
        if result.outcome is Outcome.UPLOAD_GONE:
            await self.understand(submission)  # says which
        return _accepted(result)

    async def understand(self, submission: Submission) -> Understood:
        """Judge a submission and fill in what it left open; nothing is stored.

        Raises:
            InvalidRequest: a field is wrong or an image cannot be used; it tells of everything at once.
            Unavailable: Redis or the storage does not answer about an upload.
        """
        inputs, problems = await self._inputs.judge(submission.images, self._tenant)
        body, ttl = submission.body, min(self._result_ttl, self._limits.max_retention)
        webhook = await self._webhooks.judge(body.webhook if body else None, self._tenant)
        problems += webhook.problems
        if body and body.expires_in:
            ttl = timedelta(seconds=body.expires_in)
            problems += self._too_long(ttl)
        if body is None or submission.problems or problems:
            raise InvalidRequest.of([*submission.problems, *problems])
        return Understood(body, inputs, _as_understood(body, inputs), ttl, webhook)

    async def get(self, job_id: str) -> QueuedView:
        """The job and its place in the queue.

        Raises:
            NotFound: there is none of this id.
            Unavailable: Redis does not answer.
        """
        return _found(await self._store.read(job_id), job_id)

    async def wait_for_change(self, job_id: str, version: int | None, patience: timedelta) -> QueuedView:
        """The job once its version is another than the given one (or than now), or as it is when patience ends."""
        seen = version if version is not None else (await self.get(job_id)).job.version
        return _found(await self.watch.until(job_id, lambda job: job.version != seen, patience), job_id)

    async def wait_for_end(self, job_id: str, patience: timedelta) -> QueuedView:
        """The job once it has ended, or as it is when patience ends."""
        return _found(await self.watch.until(job_id, lambda job: job.status.is_final, patience), job_id)

    async def page(self, status: JobState | None, after: str | None, limit: int) -> Page:
        """Jobs, the newest first, and the id after which the next page begins, if there is one."""
        views = await self._store.page(status=status, after=after, limit=limit + 1)
        return Page(views[:limit], views[limit - 1].job.id if len(views) > limit else None)

    async def cancel(self, job_id: str) -> QueuedView:
        """End a queued job now and a running one within a denoising step; an ended one is returned as it is.

        Raises:
            NotFound: there is none of this id.
        """
        return _found(await self._store.cancel(job_id), job_id)

    async def delete(self, job_id: str) -> None:
        """Remove an ended job with every stored object.

        Raises:
            NotFound: there is none of this id.
            JobNotFinished: it is queued or running.
        """
        outcome = await self._store.delete(job_id)
        if outcome is Deletion.NOT_FOUND:
            raise NotFound(f"there is no interpolation {job_id}")
        if outcome is Deletion.NOT_FINISHED:
            raise JobNotFinished("only an ended job can be deleted; cancel it first")
        await self._discard(job_id)

    def link(self, job: Job, output: Output) -> tuple[str, datetime]:
        """A link to the stored result and the end of its life; one that is only a path leads to this gateway."""
        return output_link(self._storage, self._link_ttl, job, output)

    async def open_output(self, job_id: str, name: str) -> tuple[str | Path, Output]:
        """Where a result can be read: a link, or a file on this machine.

        Raises:
            NotFound: there is no such job, or it has no such output (yet).
        """
        job = (await self.get(job_id)).job
        output = next((output for output in job.outputs if output.name == name), None)
        if output is None:
            raise NotFound(f"interpolation {job_id} is {job.status} and has no output {name}")
        path = self._storage.local_path(output_key(job.id, job.fence, name))
        if path is None:
            return self.link(job, output)[0], output
        if not path.is_file():
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

    async def _recall(self, submission: Submission, idempotency_key: str) -> SubmissionResult | None:
        """What a key came to before, where it would be wrong to fetch images first: their links may have expired."""
        remote = any(isinstance(source, RemoteImage) for source in submission.images.values())
        if not remote or submission.body is None or submission.problems:
            return None
        identities = await self._inputs.identify(submission.images, self._tenant)
        return await self._store.recall(_idempotency(self._tenant, idempotency_key, submission.body, identities))

    def _too_long(self, ttl: timedelta) -> list[Problem]:
        if ttl <= self._limits.max_retention:
            return []
        most, came = (int(duration.total_seconds()) for duration in (self._limits.max_retention, ttl))
        return [Problem("/expires_in", "out_of_range", f"`expires_in` has to be at most {most} but is {came}")]

    async def _store_inputs(self, job_id: str, inputs: dict[str, Input]) -> None:
        try:
            await self._inputs.store(job_id, inputs)
        except Unavailable:
            await self._discard(job_id)
            raise

    async def _discard(self, job_id: str) -> None:
        """Delete the objects of a job that does not exist; where that fails, the dispatcher finds them in the trash."""
        try:
            await to_thread.run_sync(self._storage.delete_prefix, job_prefix(job_id))
            await self._store.emptied(job_id)
        except Unavailable as error:
            log.warning("objects of a job stay behind for now", job_id=job_id, error=error.detail)


def _accepted(result: SubmissionResult) -> Accepted:
    if result.outcome is Outcome.FULL:
        raise QueueFull("as many jobs wait for a worker as may wait; try again later")
    if result.outcome is Outcome.TOO_MANY:
        raise TooManyJobs("as many of your jobs wait for a worker as may wait; try again when some have started")
    if result.outcome is Outcome.REUSED:
        raise IdempotencyKeyReused("this Idempotency-Key came with another request before")
    if result.outcome in (Outcome.LATE, Outcome.UPLOAD_GONE):
        raise Unavailable("an image was deleted while the request was carried out; try again")
    if result.view is None:
        raise NotFound("the interpolation of this Idempotency-Key was deleted; a new one needs a new key")
    return Accepted(result.view, replayed=result.outcome is Outcome.REPLAYED)


def _found(view: QueuedView | None, job_id: str) -> QueuedView:
    if view is None:
        raise NotFound(f"there is no interpolation {job_id}")
    return view


def _idempotency(tenant: str, key: str, body: InterpolationBody, identities: list[str]) -> IdempotencyKey:
    """A key is one tenant's own.

    The same fields and images are the same request, whichever body form carried them; the same URL is an image.
    """
    fields = body.model_dump(mode="json", exclude={"keyframes"}) | {"images": identities}
    canonical = json.dumps(fields, sort_keys=True)
    return IdempotencyKey(*(hashlib.sha256(text.encode()).hexdigest() for text in (f"{tenant}:{key}", canonical)))


def _as_understood(body: InterpolationBody, inputs: dict[str, Input]) -> GenerationRequest:
    """Fill in what the caller left open, so that the record alone reproduces the result."""
    keyframes = [Keyframe(image=one.image) for one in inputs.values()]
    first = keyframes[0].image
    width, height = (body.width, body.height) if body.width and body.height else canvas_for(first.width, first.height)
    seed = secrets.randbits(32) if body.seed is None else body.seed
    as_sent = body.model_dump(include=set(GenerationRequest.model_fields))
    return GenerationRequest.model_validate(
        as_sent | {"keyframes": keyframes, "seed": seed, "width": width, "height": height}
    )
