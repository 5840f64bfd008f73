"""Accept jobs: check a submission, store its images, and make the job in one step."""

import hashlib
import json
import secrets
from datetime import timedelta
from typing import NamedTuple

from opentelemetry.trace import SpanKind

from api.caller import Caller
from api.schemas.jobs import InterpolationBody
from api.schemas.submission import RemoteImage, Submission
from api.schemas.validation import shown
from api.services.inputs import Input, Inputs, unstored, uploads_of
from api.services.objects import discard
from api.services.webhooks import NO_WEBHOOK, CheckedWebhook, Webhooks
from core.errors import (
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    Problem,
    QueueFull,
    TooManyJobs,
    Unavailable,
)
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.records.job import Caution, QueuedView
from core.records.request import GenerationRequest, Keyframe, OutputFormat, Priority
from core.settings import Settings
from core.shots.canvas import Size, canvas_for
from core.shots.warnings import warnings_about
from core.store.roles.gateway import (
    NO_KEY,
    GatewayStore,
    IdempotencyKey,
    Outcome,
    SubmissionResult,
)
from core.telemetry.tracing import (
    QUEUE,
    ending,
    messaging_attributes,
    start_span,
    traceparent_of,
)


class Accepted(NamedTuple):
    """The job of a submission; `replayed` if the caller's key had made it before."""

    view: QueuedView
    replayed: bool


class Understood(NamedTuple):
    """A valid submission: images by pointer, defaults filled in, time to live of the job."""

    body: InterpolationBody
    inputs: dict[str, Input]
    request: GenerationRequest
    ttl: timedelta
    webhook: CheckedWebhook
    warnings: list[Caution]


class Submissions:
    """What the gateway does with submissions."""

    def __init__(
        self,
        store: GatewayStore,
        storage: ObjectStorage,
        inputs: Inputs,
        webhooks: Webhooks,
        settings: Settings,
    ) -> None:
        self._store = store
        self._storage = storage
        self._inputs = inputs
        self._webhooks = webhooks
        self._result_ttl = settings.result_ttl

    async def submit(
        self,
        submission: Submission,
        caller: Caller,
        request_id: str,
        idempotency_key: str | None,
        traceparent: str = "",
    ) -> Accepted:
        """Accept a job: decode its images, store them, then make it exist in one step.

        Args:
            submission: as it was read.
            caller: whose job it will be, within whose limits.
            request_id: of the request that brought it.
            idempotency_key: the caller's own name for it.
            traceparent: the span at which the job's trace goes on.

        Raises:
            InvalidRequest: an image cannot be used; nothing is left behind.
            IdempotencyKeyReused: the key came with another request before.
            NotFound: the key's job has been deleted meanwhile.
            TooManyJobs: as many of the tenant's jobs wait as may wait.
            QueueFull: as many jobs of all tenants wait as may wait.
            Unavailable: Redis or the storage does not answer.
        """
        if idempotency_key and (
            earlier := await self._recall(submission, caller.tenant, idempotency_key)
        ):
            return _accepted(earlier)
        understood = await self.understand(submission, caller, recheck=False)
        body, inputs, request, ttl, webhook, warnings = understood
        job_id = new_job_id()
        identities = [one.identity for one in inputs.values()]
        key = (
            _idempotency(caller.tenant, idempotency_key, body, identities)
            if idempotency_key
            else NO_KEY
        )
        stores = bool(unstored(inputs))
        if stores:
            reservation = await self._store.reserve(
                job_id, caller.tenant, limits=caller.limits, idempotency=key
            )
            if reservation.outcome is not Outcome.RESERVED:
                return _accepted(reservation)
            await self._store_inputs(job_id, inputs)
        attributes = messaging_attributes("send", job_id)
        attributes["tooncrafter.priority"] = request.priority.value
        span = start_span(
            f"send {QUEUE}", SpanKind.PRODUCER, parent=traceparent, attributes=attributes
        )
        with ending(span) as sent:
            result = await self._store.submit(
                job_id,
                caller.tenant,
                request,
                metadata=body.metadata,
                ttl=ttl,
                request_id=request_id,
                limits=caller.limits,
                idempotency=key,
                reserved=stores,
                uploads=uploads_of(inputs),
                webhook=webhook.webhook,
                warnings=warnings,
                traceparent=traceparent_of(sent),
            )
            sent.set_attribute("tooncrafter.outcome", result.outcome.value)
        if stores and result.outcome is not Outcome.CREATED:
            await discard(self._storage, self._store, job_id)
        if result.outcome is Outcome.UPLOAD_GONE:
            await self.understand(submission, caller)  # says which
        return _accepted(result)

    async def understand(
        self, submission: Submission, caller: Caller, *, recheck: bool = True
    ) -> Understood:
        """Check a submission and fill in what it left open; nothing is stored.

        Args:
            submission: as it was read.
            caller: of whose tenant it is, within whose limits.
            recheck: ask Redis for uploads that were good before. A submission need not: the step
                that makes the job checks them.

        Raises:
            InvalidRequest: a field is wrong or an image cannot be used; it tells of everything at
                once.
            Unavailable: Redis or the storage does not answer about an upload.
        """
        tenant, max_retention = caller.tenant, caller.limits.max_retention
        inputs, problems = await self._inputs.inspect(submission.images, tenant, recheck=recheck)
        body, ttl = submission.body, min(self._result_ttl, max_retention)
        webhook = NO_WEBHOOK
        if body and body.webhook:
            webhook = await self._webhooks.check(body.webhook, tenant)
        problems += webhook.problems
        if body and body.expires_in:
            problems += _too_long(body.expires_in, max_retention)
        if body is None or submission.problems or problems:
            raise InvalidRequest.of([*submission.problems, *problems])
        if body.expires_in:
            ttl = timedelta(seconds=body.expires_in)
        request = _as_understood(body, inputs)
        warnings = _warnings(request) + webhook.warnings
        return Understood(body, inputs, request, ttl, webhook, warnings)

    async def _recall(
        self, submission: Submission, tenant: str, idempotency_key: str
    ) -> SubmissionResult | None:
        """Return the earlier outcome of a key before images are fetched: links may have expired."""
        remote = any(isinstance(source, RemoteImage) for source in submission.images.values())
        if not remote or submission.body is None or submission.problems:
            return None
        identities = await self._inputs.identify(submission.images, tenant)
        return await self._store.recall(
            _idempotency(tenant, idempotency_key, submission.body, identities), tenant
        )

    async def _store_inputs(self, job_id: str, inputs: dict[str, Input]) -> None:
        try:
            await self._inputs.store(job_id, inputs)
        except Unavailable:
            await discard(self._storage, self._store, job_id)
            raise


def _too_long(seconds: int, max_retention: timedelta) -> list[Problem]:
    """Compare whole numbers: a request may name one that no duration can hold."""
    most = int(max_retention.total_seconds())
    if seconds <= most:
        return []
    detail = f"`expires_in` must be at most {most}; got {shown(seconds)}"
    return [Problem("/expires_in", "out_of_range", detail)]


def _accepted(result: SubmissionResult) -> Accepted:
    if result.outcome is Outcome.FULL:
        raise QueueFull("as many jobs wait for a worker as may wait; try again later")
    if result.outcome is Outcome.TOO_MANY:
        raise TooManyJobs(
            "as many of your jobs wait for a worker as may wait; try again when some have started"
        )
    if result.outcome is Outcome.REUSED:
        raise IdempotencyKeyReused("this Idempotency-Key came with another request before")
    if result.outcome in (Outcome.LATE, Outcome.UPLOAD_GONE):
        raise Unavailable("an image was deleted while the request was carried out; try again")
    if result.view is None:
        raise NotFound(
            "the interpolation of this Idempotency-Key was deleted; a new one needs a new key"
        )
    return Accepted(result.view, replayed=result.outcome is Outcome.REPLAYED)


def _idempotency(
    tenant: str, key: str, body: InterpolationBody, identities: list[str]
) -> IdempotencyKey:
    """A key is one tenant's own.

    The same fields and images are the same request, whichever body form carried them; the same URL
    is an image.
    """
    fields = body.model_dump(mode="json", exclude={"keyframes"}) | {"images": identities}
    canonical = json.dumps(fields, sort_keys=True)
    return IdempotencyKey(
        *(hashlib.sha256(text.encode()).hexdigest() for text in (f"{tenant}:{key}", canonical))
    )


def _warnings(request: GenerationRequest) -> list[Caution]:
    """Return what the result will lack of the drawings."""
    images = [keyframe.image for keyframe in request.keyframes]
    found = warnings_about(images, Size(request.width, request.height))
    return [Caution(code=one.code, detail=one.detail, pointer=one.pointer) for one in found]


def _as_understood(body: InterpolationBody, inputs: dict[str, Input]) -> GenerationRequest:
    """Fill in what the caller left open, so that the record alone reproduces the result."""
    keyframes = [Keyframe(image=one.image) for one in inputs.values()]
    first = keyframes[0].image
    width, height = (
        (body.width, body.height)
        if body.width and body.height
        else canvas_for(first.width, first.height)
    )
    seed = secrets.randbits(32) if body.seed is None else body.seed
    as_sent = {name: getattr(body, name) for name in _TAKEN_OVER}
    return GenerationRequest(
        **as_sent,
        keyframes=keyframes,
        seed=seed,
        width=width,
        height=height,
        outputs=[OutputFormat(format=output.format) for output in body.outputs],
        priority=Priority(body.priority),
    )


_TAKEN_OVER = GenerationRequest.model_fields.keys() & InterpolationBody.model_fields.keys() - {
    "keyframes",
    "seed",
    "width",
    "height",
    "outputs",
    "priority",
}  # from the body as they came
