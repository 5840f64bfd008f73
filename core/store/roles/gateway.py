"""Give the gateway its operations on jobs; asyncio, one round trip each."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from core.records.base import SCHEMA_VERSION, from_milliseconds, to_milliseconds
from core.records.ids import job_id_bound
from core.records.job import Job, JobState, QueuedView
from core.records.tenant import TenantLimits
from core.store.client import AsyncRedis
from core.store.encoding import parse_view, submission_fields
from core.store.redis_keys import TRASH

IDEMPOTENCY_LIFE = timedelta(hours=24)
# until a gateway has stored a job's images; later its objects count as abandoned
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


@dataclass(frozen=True)
class SubmissionResult:
    """What a submission came to.

    `view` is None if no job was made, or if the job of a replayed key was deleted.
    """

    outcome: Outcome
    view: QueuedView | None


class JobFilter(NamedTuple):
    """Which jobs of a tenant a page lists."""

    status: JobState | None = None
    after: str | None = None  # id of the last job of the page before
    created_after: datetime | None = None
    created_before: datetime | None = None


class GatewayStore:
    """What the gateway does with a tenant's jobs.

    Every call takes the tenant, and the scripts themselves check whose a job is: another tenant's
    id gets the same answer as an unknown one. Every call answers or raises `Unavailable` within a
    second.
    """

    def __init__(
        self, redis: AsyncRedis, *, max_queued: int | None = None, schema: int = SCHEMA_VERSION
    ) -> None:
        """Connect on the first call.

        Args:
            redis: the client, which its owner closes.
            max_queued: how many jobs of all tenants may wait; None for any number.
            schema: of the records that are made.
        """
        self._max_queued = max_queued
        self._schema = schema
        self._redis = redis
        self._run = redis.script("gateway")

    async def recall(self, idempotency: IdempotencyKey, tenant: str) -> SubmissionResult | None:
        """Return what an idempotency key came to before, without using it; None if it is new."""
        answer = await self._run("recall", tenant, idempotency.digest, idempotency.fingerprint)
        return SubmissionResult(Outcome(answer[0]), parse_view(answer[1])) if answer else None

    async def reserve(
        self,
        job_id: str,
        tenant: str,
        *,
        limits: TenantLimits | None = None,
        idempotency: IdempotencyKey = NO_KEY,
    ) -> SubmissionResult:
        """Note that objects of a job are about to be stored, so that they are found in any case.

        Returns:
            `RESERVED`, what the idempotency key came to before, or why no further job may wait.
            Only after `RESERVED` may objects be stored.
        """
        outcome, view = await self._run(
            "reserve",
            *(job_id, tenant, idempotency.digest, idempotency.fingerprint),
            *(limits and limits.max_queued, self._max_queued, STORING_PATIENCE),
        )
        return SubmissionResult(Outcome(outcome), parse_view(view))

    async def submit(
        self,
        job: Job,
        *,
        limits: TenantLimits | None = None,
        idempotency: IdempotencyKey = NO_KEY,
        reserved: bool = False,
    ) -> SubmissionResult:
        """Make a job: record, index, ready set, idempotency key and claim on uploads in one step.

        Args:
            job: the record as it is to be. It lives as long after Redis's time as it would after
                `created_at`.
            limits: the caller's; None for none.
            idempotency: the caller's key, if it sent one.
            reserved: whether objects were stored for it, after `reserve`.

        Raises:
            Unavailable: Redis does not answer; the job may exist or not.
        """
        life = job.expires_at - job.created_at
        outcome, *answer = await self._run(
            "submit",
            *(job.id, job.tenant, idempotency.digest, idempotency.fingerprint),
            *(limits and limits.max_queued, self._max_queued, limits and limits.max_running),
            *(IDEMPOTENCY_LIFE, life, self._schema, job.request.priority.value),
            *("1" if reserved else "", json.dumps(job.uploads) if job.uploads else ""),
            *submission_fields(job),
        )
        if outcome != Outcome.CREATED:
            return SubmissionResult(Outcome(outcome), parse_view(answer[0]))
        created_at, position = from_milliseconds(answer[0]), answer[1]
        times = {"created_at": created_at, "expires_at": created_at + life}
        view = QueuedView(job.model_copy(update=times), position)
        return SubmissionResult(Outcome.CREATED, view)

    async def read(self, job_id: str, tenant: str) -> QueuedView | None:
        """Return the record and its queue position; None if there is no such job."""
        return parse_view(await self._run("read", job_id, tenant))

    async def page(self, tenant: str, wanted: JobFilter, limit: int) -> list[QueuedView]:
        """Return at most `limit` of a tenant's jobs, the newest first."""
        newest, oldest = f"({wanted.after}" if wanted.after else "+", "-"
        # an id is made up to STORING_PATIENCE before its job, and by another clock
        bounds = (wanted.created_after, wanted.created_before)
        if wanted.created_before:
            bound = f"({job_id_bound(wanted.created_before + STORING_PATIENCE)}"
            newest = min(newest, bound) if wanted.after else bound
        if wanted.created_after:
            oldest = f"[{job_id_bound(wanted.created_after - STORING_PATIENCE)}"
        times = [moment and to_milliseconds(moment) for moment in bounds]
        page = await self._run("page", tenant, wanted.status, newest, oldest, *times, limit)
        return [view for view in map(parse_view, page) if view]

    async def cancel(self, job_id: str, tenant: str) -> QueuedView | None:
        """End a queued job now, a running one at its next denoising step; leave an ended one."""
        return parse_view(await self._run("cancel", job_id, tenant))

    async def delete(self, job_id: str, tenant: str) -> Deletion:
        """Forget an ended job.

        Its objects are then the caller's to delete. Unless it calls `emptied`, the dispatcher does.
        """
        return Deletion(await self._run("delete", job_id, tenant))

    async def emptied(self, job_id: str) -> None:
        """Note that the objects of a deleted job are gone."""
        await self._redis.remove_member(TRASH, job_id)

    async def ping(self) -> None:
        """Return if Redis answers."""
        await self._redis.ping()
