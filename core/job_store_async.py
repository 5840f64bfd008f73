"""Jobs in Redis for the gateway: asyncio, one round trip per operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core import job_scripts as scripts
from core.errors import Unavailable
from core.job import GenerationRequest, JobState
from core.job_record import QueuedView, milliseconds, parse_view, submission_fields
from core.keys import TRASH

SOCKET_TIMEOUT_SECONDS = 0.8  # a request waits at most so long for a Redis that does not answer: 503 within a second
IDEMPOTENCY_LIFE = timedelta(hours=24)


class Outcome(StrEnum):
    """What a submission with an idempotency key came to."""

    CREATED = "created"
    REPLAYED = "replayed"  # the same key and request: the first job again
    REUSED = "reused"  # the same key with another request
    FULL = "full"  # too many jobs wait; nothing was made


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


@dataclass(frozen=True)
class Submission:
    """What a submission came to. `view` is None where the queue is full or a replayed key's job has been deleted."""

    outcome: Outcome
    view: QueuedView | None


class AsyncJobStore:
    """What the gateway does with jobs. Every call answers or raises `Unavailable` within a second."""

    def __init__(self, url: str, *, max_queued: int | None = None) -> None:
        self._max_queued = "" if max_queued is None else max_queued
        self._redis: Any = redis.asyncio.Redis.from_url(  # redis-py types every answer as bytes or str or more
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._submit = self._redis.register_script(scripts.SUBMIT)
        self._read = self._redis.register_script(scripts.READ)
        self._list = self._redis.register_script(scripts.LIST)
        self._cancel = self._redis.register_script(scripts.CANCEL)
        self._delete = self._redis.register_script(scripts.DELETE)

    async def submit(
        self,
        job_id: str,
        request: GenerationRequest,
        *,
        metadata: Mapping[str, str],
        ttl: timedelta,
        request_id: str,
        idempotency: IdempotencyKey | None = None,
    ) -> Submission:
        """Make the job exist: record, index, ready set and idempotency key in one step.

        Raises:
            Unavailable: Redis does not answer; the job may exist or not.
        """
        key = idempotency or IdempotencyKey("", "")
        outcome, view = await self._run(
            self._submit,
            *(job_id, milliseconds(ttl), request.priority.value),
            *(key.digest, key.fingerprint, milliseconds(IDEMPOTENCY_LIFE), self._max_queued),
            *submission_fields(request, metadata, request_id),
        )
        return Submission(Outcome(outcome), parse_view(view))

    async def read(self, job_id: str) -> QueuedView | None:
        """The record and its place in the queue, or None where there is none."""
        return parse_view(await self._run(self._read, job_id))

    async def page(self, *, status: JobState | None, after: str | None, limit: int) -> list[QueuedView]:
        """Jobs, the newest first.

        Args:
            status: only these.
            after: id of the last job of the page before.
            limit: how many at most.
        """
        page = await self._run(self._list, status.value if status else "", after or "", limit)
        return [view for view in map(parse_view, page) if view]

    async def cancel(self, job_id: str) -> QueuedView | None:
        """End a queued job now and a running one at its next denoising step; an ended one stays as it is."""
        return parse_view(await self._run(self._cancel, job_id))

    async def delete(self, job_id: str) -> Deletion:
        """Forget an ended job. Until `emptied` is called, the dispatcher takes its objects for its own to delete."""
        answer = await self._run(self._delete, job_id)
        return {1: Deletion.DONE, 0: Deletion.NOT_FOUND, -1: Deletion.NOT_FINISHED}[answer]

    async def emptied(self, job_id: str) -> None:
        """The objects of a deleted job are gone."""
        await self._run(self._redis.zrem, TRASH, job_id, as_script=False)

    async def ping(self) -> None:
        """Return if Redis answers."""
        await self._run(self._redis.ping, as_script=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()

    @staticmethod
    async def _run(command: Any, *args: str | int, as_script: bool = True) -> Any:
        try:
            return await (command(args=args) if as_script else command(*args))
        except RedisError as error:
            reason = f"Redis does not answer ({type(error).__name__}); nothing is wrong with the request, try again"
            raise Unavailable(reason) from error
