"""Accept jobs: check a submission, store its images, and make the job in one step."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from opentelemetry.trace import SpanKind

from api.caller import Caller
from api.schemas.interpolation import InterpolationBody
from api.schemas.submission import Submission
from api.schemas.validation import shown
from api.services.idempotency import idempotency
from api.services.inputs import Input, Inputs, unstored, uploads_of
from api.services.jobs import discard
from api.services.model_choice import ModelChoice, ModelChooser
from api.services.understanding import understood
from api.services.warnings import warnings_about
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
from core.images.errors import ImageRefused
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.records.job import Caution, Job, JobState, QueuedView
from core.records.request import GenerationRequest
from core.settings import Settings
from core.store.roles.gateway import (
    NO_KEY,
    GatewayStore,
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


@dataclass
class Submissions:
    """What the gateway does with submissions."""

    store: GatewayStore
    storage: ObjectStorage
    inputs: Inputs
    webhooks: Webhooks
    models: ModelChooser
    settings: Settings

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
        body, inputs, choice, webhook = await self._check(submission, caller, recheck=False)
        request = understood(body, inputs, choice)
        identities = {pointer: one.identity for pointer, one in inputs.items()}
        key = (
            idempotency(caller.tenant, idempotency_key, body, identities)
            if idempotency_key
            else NO_KEY
        )
        job_id = new_job_id()
        stores = bool(unstored(inputs))
        if stores:
            reservation = await self.store.reserve(
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
            now = datetime.now(UTC)
            job = Job(
                id=job_id,
                tenant=caller.tenant,
                version=1,
                status=JobState.QUEUED,
                created_at=now,
                expires_at=now + self._time_to_live(body, caller),
                request=request,
                metadata=body.metadata,
                request_id=request_id,
                uploads=uploads_of(inputs),
                webhook=webhook.in_form(submission.form),
                warnings=[*warnings_about(request), *choice.warnings, *webhook.warnings],
                traceparent=traceparent_of(sent),
            )
            result = await self.store.submit(
                job, limits=caller.limits, idempotency=key, reserved=stores
            )
            sent.set_attribute("tooncrafter.outcome", result.outcome.value)
        if stores and result.outcome is not Outcome.CREATED:
            await discard(self.storage, self.store, job_id)
        if result.outcome is Outcome.UPLOAD_GONE:
            await self._check(submission, caller, recheck=True)  # says which
        return _accepted(result)

    async def understand(
        self, submission: Submission, caller: Caller
    ) -> tuple[GenerationRequest, list[Caution]]:
        """Check a submission and fill in what it left open; nothing is stored.

        Returns:
            The request, and what the caller should know about its result.

        Raises:
            InvalidRequest, Unavailable: as for `submit`.
        """
        body, inputs, choice, webhook = await self._check(submission, caller, recheck=True)
        request = understood(body, inputs, choice)
        return request, [*warnings_about(request), *choice.warnings, *webhook.warnings]

    async def _check(
        self, submission: Submission, caller: Caller, *, recheck: bool
    ) -> tuple[InterpolationBody, dict[str, Input], ModelChoice, CheckedWebhook]:
        """Return a valid body with its images, its model and its webhook.

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
        body, tenant = submission.body, caller.tenant
        inputs, problems = await self.inputs.inspect(submission, tenant, recheck=recheck)
        webhook = NO_WEBHOOK
        if body and body.webhook:
            webhook = await self.webhooks.check(body.webhook, tenant)
        choice = await self.models.choose(body) if body else ModelChoice()
        problems += [*webhook.problems, *choice.problems]
        if body and body.expires_in:
            problems += _too_long(body.expires_in, caller.limits.max_retention)
        if body is None or submission.problems or problems:
            raise InvalidRequest.listing([*submission.problems, *problems])
        return body, inputs, choice, webhook

    def _time_to_live(self, body: InterpolationBody, caller: Caller) -> timedelta:
        if body.expires_in:
            return timedelta(seconds=body.expires_in)
        return min(self.settings.result_ttl, caller.limits.max_retention)

    async def _recall(
        self, submission: Submission, tenant: str, idempotency_key: str
    ) -> SubmissionResult | None:
        """Return the earlier outcome of a key before images are fetched: links may have expired."""
        remote = any(source.url is not None for source in submission.images.values())
        if not remote or submission.body is None or submission.problems:
            return None
        try:
            identities = await self.inputs.identify(submission, tenant)
        except ImageRefused:  # it is reported with all other problems
            return None
        key = idempotency(tenant, idempotency_key, submission.body, identities)
        return await self.store.recall(key, tenant)

    async def _store_inputs(self, job_id: str, inputs: dict[str, Input]) -> None:
        try:
            await self.inputs.store(job_id, inputs)
        except Unavailable:
            await discard(self.storage, self.store, job_id)
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
