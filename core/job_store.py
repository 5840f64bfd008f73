"""Jobs in Redis, for the gateway (asyncio) and for dispatcher and worker (threads), over one set of scripts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.lock import Lock
from redis.retry import Retry

from core import job_scripts as scripts
from core.errors import JobFailed, StaleClaim, Unavailable, WorkerLost
from core.job import (
    MAX_LOST_LEASES,
    SCHEMA_VERSION,
    Failure,
    GenerationRequest,
    Job,
    JobState,
    ModelInfo,
    Output,
    Progress,
    Timing,
    from_milliseconds,
)

LEASE = timedelta(seconds=5)  # renewed every second; so long a dead worker's job waits at most for another
LEADER_LIFE = timedelta(seconds=3)  # renewed at least every second; another dispatcher takes over after it
WORKER_LIFE = timedelta(seconds=10)  # a worker that was silent for so long is not there
SOCKET_TIMEOUT_SECONDS = 0.8  # a request waits at most so long for a Redis that does not answer: 503 within a second
IDLE, BUSY = "idle", "busy"

_JSON_FIELDS = ("request", "progress", "outputs", "error", "timing", "model", "metadata")
_TIME_FIELDS = {"created": "created_at", "started": "started_at", "finished": "finished_at", "expires": "expires_at"}


@dataclass(frozen=True)
class Claim:
    """A job that this worker may run, and the number that proves it."""

    job: Job

    @property
    def args(self) -> tuple[str, int]:
        """What every later write has to show."""
        return self.job.id, self.job.fence


@dataclass(frozen=True)
class WorkerRecord:
    """A live worker as the store knows it. `model_loads` counts how often it loaded its pipeline."""

    name: str
    state: str
    model_loads: int
    model: ModelInfo | None


def parse_job(fields: Mapping[str, str]) -> Job:
    """The record from its Redis hash.

    Raises:
        ValueError: a newer version of the service wrote it.
    """
    if int(fields["schema"]) > SCHEMA_VERSION:
        raise ValueError(f"job record has schema {fields['schema']} but this service reads up to {SCHEMA_VERSION}")
    values: dict[str, Any] = dict(fields)
    values.update({name: json.loads(fields[name]) for name in _JSON_FIELDS if fields.get(name)})
    values.update({new: from_milliseconds(int(fields[old])) for old, new in _TIME_FIELDS.items() if old in fields})
    return Job.model_validate({name: value for name, value in values.items() if value != "" or name == "request_id"})


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _submission(
    job_id: str, request: GenerationRequest, metadata: Mapping[str, str], ttl: timedelta, request_id: str
) -> list[str | int]:
    return [
        job_id,
        _ms(ttl),
        request.priority.value,
        *("request", request.model_dump_json(), "metadata", json.dumps(dict(metadata)), "request_id", request_id),
    ]


def _ms(duration: timedelta) -> int:
    return round(duration / timedelta(milliseconds=1))


class AsyncJobStore:
    """What the gateway does with jobs. Every call answers or raises `Unavailable` within a second."""

    def __init__(self, url: str) -> None:
        self._redis: Any = redis.asyncio.Redis.from_url(  # redis-py types every answer as bytes or str or more
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._submit = self._redis.register_script(scripts.SUBMIT)

    async def submit(
        self, job_id: str, request: GenerationRequest, *, metadata: Mapping[str, str], ttl: timedelta, request_id: str
    ) -> Job:
        """Make the job exist: record, index and ready set in one step.

        Raises:
            Unavailable: Redis does not answer; the job may exist or not.
        """
        try:
            fields = await self._submit(args=_submission(job_id, request, metadata, ttl, request_id))
        except RedisError as error:
            raise _unavailable(error) from error
        return parse_job(_pairs(fields))

    async def get(self, job_id: str) -> Job | None:
        """The record, or None where there is none.

        Raises:
            Unavailable: Redis does not answer.
        """
        try:
            fields = await self._redis.hgetall(scripts.JOB + job_id)
        except RedisError as error:
            raise _unavailable(error) from error
        return parse_job(fields) if fields else None

    async def queue_position(self, job: Job) -> int | None:
        """How many jobs are served before this one; None once it no longer waits.

        Raises:
            Unavailable: Redis does not answer.
        """
        if job.status is not JobState.QUEUED:
            return None
        lane = scripts.READY_KEYS.index(scripts.READY + job.request.priority.value)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrank(scripts.READY_KEYS[lane], job.id)
                for better in scripts.READY_KEYS[:lane]:
                    pipe.zcard(better)
                rank, *ahead = await pipe.execute()
        except RedisError as error:
            raise _unavailable(error) from error
        return None if rank is None else rank + sum(ahead)

    async def ping(self) -> None:
        """Return if Redis answers, else raise `Unavailable`."""
        try:
            await self._redis.ping()
        except RedisError as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


class JobStore:
    """What dispatcher and worker do with jobs. Calls raise redis-py's errors: the caller decides when to try again."""

    def __init__(self, url: str, *, socket_timeout: timedelta = timedelta(seconds=5)) -> None:
        self._redis: Any = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=socket_timeout.total_seconds(),
            socket_connect_timeout=2,
            health_check_interval=10,
        )
        self._claim = self._redis.register_script(scripts.CLAIM)
        self._renew = self._redis.register_script(scripts.RENEW)
        self._finish = self._redis.register_script(scripts.FINISH)
        self._give_back = self._redis.register_script(scripts.GIVE_BACK)
        self._recover = self._redis.register_script(scripts.RECOVER)
        self._forget = self._redis.register_script(scripts.FORGET)
        self._report = self._redis.register_script(scripts.REPORT)
        self._ask_to_stop = self._redis.register_script(scripts.ASK_TO_STOP)

    def get(self, job_id: str) -> Job | None:
        """The record, or None where there is none."""
        fields = self._redis.hgetall(scripts.JOB + job_id)
        return parse_job(fields) if fields else None

    def claim(self, worker: str) -> Claim | None:
        """Take the best ready job and its lease, or None where nothing waits."""
        fields = self._claim(args=[worker, _ms(LEASE)])
        return Claim(parse_job(_pairs(fields))) if fields else None

    def renew(self, claim: Claim, progress: Progress | None = None) -> None:
        """Hold the lease for another `LEASE`, with or without news.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        news = progress.model_dump_json() if progress else ""
        self._demand(self._renew(args=[*claim.args, _ms(LEASE), news]), claim)

    def succeed(self, claim: Claim, outputs: Iterable[Output], timing: Timing, model: ModelInfo) -> None:
        """Make the results visible; the commit of the attempt.

        Raises:
            StaleClaim: the job is no longer this attempt's; its results stay invisible.
        """
        stored = json.dumps([output.model_dump(mode="json") for output in outputs])
        fields = ("outputs", stored, "timing", timing.model_dump_json(), "model", model.model_dump_json())
        self._demand(self._finish(args=[*claim.args, "status", JobState.SUCCEEDED.value, *fields]), claim)

    def fail(self, claim: Claim, error: JobFailed, timing: Timing, model: ModelInfo | None) -> None:
        """End the job with an error.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        fields = ["error", _failure(error), "timing", timing.model_dump_json()]
        if model:
            fields += ["model", model.model_dump_json()]
        self._demand(self._finish(args=[*claim.args, "status", JobState.FAILED.value, *fields]), claim)

    def give_back(self, claim: Claim) -> None:
        """Let the job wait again in its old place, because this worker stops in order.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._demand(self._give_back(args=list(claim.args)), claim)

    def recover_expired_leases(self) -> tuple[list[str], list[str]]:
        """Return the jobs of vanished workers to the ready set; fail those that lost too many. Ids of both."""
        error = WorkerLost(f"{MAX_LOST_LEASES} workers vanished while they ran this job")
        requeued, failed = self._recover(args=[_failure(error)])
        return requeued, failed

    def expired(self, limit: int = 100) -> list[str]:
        """Ids of ended jobs past their time, the oldest first."""
        seconds, microseconds = self._redis.time()
        now = seconds * 1000 + microseconds // 1000
        ids: list[str] = self._redis.zrange(scripts.EXPIRY, "-inf", now, byscore=True, offset=0, num=limit)
        return ids

    def forget(self, job_id: str) -> None:
        """Delete the record of an ended job; its objects have to be gone already."""
        self._forget(args=[job_id])

    def report(self, worker: str, **fields: str | int) -> timedelta | None:
        """A worker's sign of life. Answers the time it has left if it was asked to stop, else None."""
        flat = [part for pair in fields.items() for part in pair]
        left = self._report(args=[worker, _ms(WORKER_LIFE), *flat])
        return None if left < 0 else timedelta(milliseconds=left)

    def report_load(self, worker: str, model: ModelInfo, load_seconds: float) -> None:
        """A worker has loaded its pipeline and is ready; `model_loads` counts how often it did."""
        # in a container it may bear the name of one that was killed while it stopped
        self._redis.hdel(scripts.WORKER + worker, "stop_at")
        self._redis.hincrby(scripts.WORKER + worker, "model_loads", 1)
        self.report(worker, state=IDLE, model=model.model_dump_json(), model_load_seconds=f"{load_seconds:.3f}")

    def ask_to_stop(self, worker: str, grace: timedelta) -> None:
        """Tell the process that computes for this worker to end within the grace or give its job back."""
        self._ask_to_stop(args=[worker, _ms(grace + WORKER_LIFE), _ms(grace)])

    def dismiss(self, worker: str) -> None:
        """The worker is gone in order."""
        self._redis.delete(scripts.WORKER + worker)
        self._redis.zrem(scripts.WORKERS, worker)

    def workers(self) -> list[WorkerRecord]:
        """All live workers."""
        records = []
        for name in self._redis.zrange(scripts.WORKERS, 0, -1):
            fields = self._redis.hgetall(scripts.WORKER + name)
            if "state" not in fields:
                self._redis.zrem(scripts.WORKERS, name)
                continue
            model = ModelInfo.model_validate_json(fields["model"]) if "model" in fields else None
            records.append(WorkerRecord(name, fields["state"], int(fields.get("model_loads", 0)), model))
        return records

    def count_ready(self) -> int:
        """How many jobs wait, in all lanes."""
        return sum(int(self._redis.zcard(key)) for key in scripts.READY_KEYS)

    def leader_lock(self) -> Lock:
        """The lock that makes one of several dispatchers the active one; it dies with its holder within seconds."""
        return Lock(self._redis, scripts.DISPATCHER, timeout=LEADER_LIFE.total_seconds(), blocking=False)

    def queue_length(self, queue: str) -> int:
        """How many messages wait in a Celery queue."""
        return int(self._redis.llen(scripts.PREFIX + queue))

    def wait_for_work(self, timeout: timedelta) -> None:
        """Return at once when something changed that the dispatcher should look at, else after the timeout."""
        self._redis.blpop([scripts.WAKE], timeout=timeout.total_seconds())

    @staticmethod
    def _demand(held: int, claim: Claim) -> None:
        if not held:
            raise StaleClaim(f"{claim.job.id}: fence {claim.job.fence} is not the current one")


def _failure(error: JobFailed) -> str:
    return Failure(code=error.code, detail=error.detail).model_dump_json()


def _unavailable(error: RedisError) -> Unavailable:
    return Unavailable(f"Redis does not answer ({type(error).__name__}); nothing is wrong with the request, try again")
