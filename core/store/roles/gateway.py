"""Jobs in Redis for the gateway: asyncio, one round trip per operation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from core.records.base import from_milliseconds
from core.records.job import Caution, Job, JobState, QueuedView
from core.records.request import GenerationRequest
from core.records.tenant import DEFAULT_TENANT, TenantLimits
from core.records.webhook import Webhook
from core.store.client import AsyncRedis
from core.store.encoding import milliseconds, parse_view, submission_fields
from core.store.keys import TRASH
from core.store.lua import jobs as scripts
from core.store.variants import variant

IDEMPOTENCY_LIFE = timedelta(hours=24)
_IDEMPOTENCY_MILLISECONDS = milliseconds(IDEMPOTENCY_LIFE)
# a gateway that has not stored a job's images by then will not any more
STORING_PATIENCE = timedelta(minutes=10)


class Outcome(StrEnum):
    """What a submission with an idempotency key came to."""

    CREATED = "created"
    REPLAYED = "replayed"  # the same key and request: the first job again
    REUSED = "reused"  # the same key with another request
    FULL = "full"  # too many jobs wait; nothing was made
    TOO_MANY = "too_many"  # too many of the tenant's jobs wait; nothing was made
    RESERVED = "reserved"  # of a reservation: objects may be stored
    LATE = "late"  # storing took longer than `STORING_PATIENCE`; nothing was made
    UPLOAD_GONE = "upload_gone"  # an upload vanished meanwhile; nothing was made


class Deletion(StrEnum):
    """What a deletion came to."""

    DONE = "done"
    NOT_FOUND = "not_found"
    NOT_FINISHED = "not_finished"


@dataclass(frozen=True)
class IdempotencyKey:
    """A caller's key, as a digest, and a fingerprint of the request that came with it."""

    digest: str
    fingerprint: str


NO_KEY = IdempotencyKey("", "")


class Known(NamedTuple):
    """What a caller knows of a job already: its version and, unless `any_position`, its place in
    the queue.
    """

    version: int
    queue_position: int | None = None
    any_position: bool = False


@dataclass(frozen=True)
class Submission:
    """What a submission came to. `view` is None where no job was made, or a replayed key's has been
    deleted.
    """

    outcome: Outcome
    view: QueuedView | None


class AsyncJobStore:
    """What the gateway does with one tenant's jobs. Every call answers or raises `Unavailable`
    within a second.

    Another tenant's jobs are not there, whatever id is asked for: the scripts themselves look whose
    a job is.
    """

    def __init__(self, url: str, *, max_queued: int | None = None) -> None:
        """Connects with the first call. The jobs are the default tenant's, without limits of its
        own; see `of`.

        Args:
            url: address of Redis.
            max_queued: how many jobs of all tenants may wait; None for any number.
        """
        self._tenant = DEFAULT_TENANT
        self._limits: TenantLimits | None = None
        self._max_queued = "" if max_queued is None else max_queued
        self._redis = AsyncRedis(url)
        self._recall = self._redis.script(scripts.RECALL_KEY)
        self._reserve = self._redis.script(scripts.RESERVE)
        self._submit = self._redis.script(scripts.SUBMIT)
        self._read = self._redis.script(scripts.READ)
        self._read_news = self._redis.script(scripts.READ_NEWS)
        self._list = self._redis.script(scripts.LIST)
        self._cancel = self._redis.script(scripts.CANCEL)
        self._delete = self._redis.script(scripts.DELETE)

    def of(self, tenant: str, limits: TenantLimits | None = None) -> Self:
        """The jobs of this tenant, on the same connections; `limits` count for what is submitted
        through it.
        """
        return variant(self, _tenant=tenant, _limits=limits)

    async def recall(self, idempotency: IdempotencyKey) -> Submission | None:
        """What an idempotency key came to before, without using it up; None where it is new."""
        answer = await self._recall(self._tenant, idempotency.digest, idempotency.fingerprint)
        return Submission(Outcome(answer[0]), parse_view(answer[1])) if answer else None

    async def reserve(self, job_id: str, idempotency: IdempotencyKey | None = None) -> Submission:
        """Note that objects of a job are about to be stored: whatever becomes of it, they will be
        found.

        Answers `RESERVED`, what the idempotency key came to before, or why no further job may wait;
        else than after `RESERVED` nothing is to be stored.
        """
        key = idempotency or NO_KEY
        outcome, view = await self._reserve(
            *(job_id, self._tenant, key.digest, key.fingerprint),
            *(
                self._limits.max_queued if self._limits else "",
                self._max_queued,
                milliseconds(STORING_PATIENCE),
            ),
        )
        return Submission(Outcome(outcome), parse_view(view))

    async def submit(
        self,
        job_id: str,
        request: GenerationRequest,
        *,
        metadata: Mapping[str, str],
        ttl: timedelta,
        request_id: str,
        idempotency: IdempotencyKey | None = None,
        reserved: bool = False,
        uploads: Mapping[str, str] | None = None,
        webhook: Webhook | None = None,
        warnings: Sequence[Caution] = (),
        traceparent: str = "",
    ) -> Submission:
        """Make the job exist: record, index, ready set, idempotency key and claim on uploads in one
        step.

        Args:
            job_id: of `new_job_id`.
            request: as understood.
            metadata: the caller's own.
            ttl: how long record and objects are kept.
            request_id: of the request that brought it.
            idempotency: the caller's key, if it sent one.
            reserved: whether objects were stored for it, after `reserve`.
            uploads: for images that lie with an upload, their digest and that upload.
            webhook: who is told of its events.
            warnings: what the caller should know.
            traceparent: the span at which the job's trace goes on.

        Raises:
            Unavailable: Redis does not answer; the job may exist or not.
        """
        key, limits = idempotency or NO_KEY, self._limits
        outcome, *answer = await self._submit(
            *(job_id, self._tenant, key.digest, key.fingerprint),
            *(
                limits.max_queued if limits else "",
                self._max_queued,
                (limits and limits.max_running) or "",
            ),
            *(_IDEMPOTENCY_MILLISECONDS, life := milliseconds(ttl), request.priority.value),
            *("1" if reserved else "", json.dumps(dict(uploads)) if uploads else ""),
            *submission_fields(request, metadata, request_id, webhook, warnings, traceparent),
        )
        if outcome != Outcome.CREATED:
            return Submission(Outcome(outcome), parse_view(answer[0]))
        created, position = answer
        job = Job(
            id=job_id,
            tenant=self._tenant,
            version=1,
            status=JobState.QUEUED,
            created_at=from_milliseconds(created),
            expires_at=from_milliseconds(created + life),
            request=request,
            metadata=dict(metadata),
            webhook=webhook,
            warnings=list(warnings),
            uploads=dict(uploads or {}),
            request_id=request_id,
            traceparent=traceparent,
        )
        return Submission(Outcome.CREATED, QueuedView(job, position))

    async def read(self, job_id: str) -> QueuedView | None:
        """The record and its place in the queue, or None where there is none."""
        return parse_view(await self._read(job_id, self._tenant))

    async def read_news(self, job_id: str, known: Known) -> QueuedView | Known | None:
        """As `read`; but `known` itself where nothing is new to the caller, which costs a third."""
        place = (
            ""
            if known.any_position
            else -1
            if known.queue_position is None
            else known.queue_position
        )
        answer = await self._read_news(job_id, self._tenant, known.version, place)
        return known if answer[1:] == ["unchanged"] else parse_view(answer)

    async def page(
        self, *, status: JobState | None, after: str | None, limit: int
    ) -> list[QueuedView]:
        """Jobs, the newest first.

        Args:
            status: only these.
            after: id of the last job of the page before.
            limit: how many at most.
        """
        page = await self._list(self._tenant, status.value if status else "", after or "", limit)
        return [view for view in map(parse_view, page) if view]

    async def cancel(self, job_id: str) -> QueuedView | None:
        """End a queued job now and a running one at its next denoising step; an ended one stays as
        it is.
        """
        return parse_view(await self._cancel(job_id, self._tenant))

    async def delete(self, job_id: str) -> Deletion:
        """Forget an ended job. Until `emptied` is called, the dispatcher takes its objects for its
        own to delete.
        """
        answer = await self._delete(job_id, self._tenant)
        return {1: Deletion.DONE, 0: Deletion.NOT_FOUND, -1: Deletion.NOT_FINISHED}[answer]

    async def emptied(self, job_id: str) -> None:
        """The objects of a deleted job are gone."""
        await self._redis.remove_member(TRASH, job_id)

    async def ping(self) -> None:
        """Return if Redis answers."""
        await self._redis.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()
