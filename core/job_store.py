"""Jobs in Redis for dispatcher and worker: blocking, from threads."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from redis.lock import Lock

from core import job_scripts as scripts
from core import keys, lease_scripts, worker_scripts
from core.errors import CancelRequested, JobFailed, StaleClaim, WorkerLost
from core.job import MAX_LOST_LEASES, Job, JobState, ModelInfo, Output, Progress, Timing
from core.job_record import failure_field, milliseconds, parse_flat, parse_job
from core.recent_runs import RecentRun
from core.worker_record import WorkerRecord, WorkerState

LEASE = timedelta(seconds=5)  # renewed every second; so long a dead worker's job waits at most for another
LEADER_LIFE = timedelta(seconds=3)  # renewed at least every second; another dispatcher takes over after it
WORKER_LIFE = timedelta(seconds=10)  # a worker that was silent for so long is not there
RENEWED_TO_BE_CANCELED = 2  # answer of the script
NO_RUN = ""  # only a run that came to its end tells how long one takes


@dataclass(frozen=True)
class Claim:
    """A job that this worker may run, and the number that proves it."""

    job: Job

    @property
    def args(self) -> tuple[str, int]:
        """What every later write has to show."""
        return self.job.id, self.job.fence


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
        self._claim = self._redis.register_script(lease_scripts.CLAIM)
        self._count_ready = self._redis.register_script(lease_scripts.COUNT_READY)
        self._renew = self._redis.register_script(lease_scripts.RENEW)
        self._finish = self._redis.register_script(lease_scripts.FINISH)
        self._give_back = self._redis.register_script(lease_scripts.GIVE_BACK)
        self._recover = self._redis.register_script(lease_scripts.RECOVER)
        self._sweep_expired = self._redis.register_script(scripts.SWEEP_EXPIRED)
        self._report = self._redis.register_script(worker_scripts.REPORT)
        self._ask_to_stop = self._redis.register_script(worker_scripts.ASK_TO_STOP)

    def get(self, job_id: str) -> Job | None:
        """The record, or None where there is none."""
        fields = self._redis.hgetall(keys.JOB + job_id)
        return parse_job(fields) if fields else None

    def claim(self, worker: str, max_canvas_pixels: int | None = None) -> Claim | None:
        """Take the best ready job and its lease, or None where nothing waits that this worker can run.

        Args:
            worker: its name.
            max_canvas_pixels: the largest canvas that it takes; None for any.
        """
        fields = self._claim(args=[worker, milliseconds(LEASE), max_canvas_pixels or ""])
        return Claim(parse_flat(fields)) if fields else None

    def renew(self, claim: Claim, progress: Progress | None = None) -> None:
        """Hold the lease for another `LEASE`, with or without news.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller wants it no more.
        """
        news = progress.model_dump_json() if progress else ""
        answer = self._renew(args=[*claim.args, milliseconds(LEASE), news])
        self._demand(answer, claim)
        if answer == RENEWED_TO_BE_CANCELED:
            raise CancelRequested

    def succeed(self, claim: Claim, outputs: Iterable[Output], timing: Timing, model: ModelInfo) -> None:
        """Make the results visible, and remember what the run took; the commit of the attempt.

        Raises:
            StaleClaim: the job is no longer this attempt's; its results stay invisible.
        """
        stored = json.dumps([output.model_dump(mode="json") for output in outputs])
        fields = ("outputs", stored, "timing", timing.model_dump_json(), "model", model.model_dump_json())
        run = RecentRun.of(claim.job.request, timing, model).model_dump_json()
        self._demand(self._finish(args=[*claim.args, JobState.SUCCEEDED.value, run, *fields]), claim)

    def fail(self, claim: Claim, error: JobFailed, timing: Timing, model: ModelInfo | None) -> None:
        """End the job with an error.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        fields = ["error", failure_field(error), "timing", timing.model_dump_json()]
        if model:
            fields += ["model", model.model_dump_json()]
        self._demand(self._finish(args=[*claim.args, JobState.FAILED.value, NO_RUN, *fields]), claim)

    def end_canceled(self, claim: Claim, timing: Timing, model: ModelInfo) -> None:
        """End the job as its caller wished.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        fields = ("timing", timing.model_dump_json(), "model", model.model_dump_json())
        self._demand(self._finish(args=[*claim.args, JobState.CANCELED.value, NO_RUN, *fields]), claim)

    def give_back(self, claim: Claim) -> None:
        """Let the job wait again in its old place, because this worker stops in order.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._demand(self._give_back(args=list(claim.args)), claim)

    def recover_expired_leases(self) -> tuple[list[str], list[str]]:
        """Return the jobs of vanished workers to the ready set; fail those that lost too many. Ids of both.

        A job that its caller wants no more ends as canceled instead.
        """
        error = WorkerLost(f"{MAX_LOST_LEASES} workers vanished while they ran this job")
        requeued, failed = self._recover(args=[failure_field(error)])
        return requeued, failed

    def sweep_expired(self, limit: int = 100) -> list[str]:
        """Forget ended jobs past their time. Answers all forgotten jobs whose objects are to be deleted."""
        ids: list[str] = self._sweep_expired(args=[limit])
        return ids

    def emptied(self, job_id: str) -> None:
        """The objects of a forgotten job are gone."""
        self._redis.zrem(keys.TRASH, job_id)

    def report(self, worker: str, state: str, **fields: str | int) -> timedelta | None:
        """A worker's sign of life. Answers the time it has left if it was asked to stop, else None."""
        flat = [part for pair in fields.items() for part in pair]
        left = self._report(args=[worker, milliseconds(WORKER_LIFE), state, *flat])
        return None if left < 0 else timedelta(milliseconds=left)

    def report_load(self, worker: str, model: ModelInfo, load_seconds: float) -> None:
        """A worker has loaded its pipeline and is ready; `model_loads` counts how often it did."""
        # in a container it may bear the name of one that was killed while it stopped
        self._redis.hdel(keys.WORKER + worker, "stop_at")
        self._redis.hincrby(keys.WORKER + worker, "model_loads", 1)
        self.report(
            worker, state=WorkerState.IDLE, model=model.model_dump_json(), model_load_seconds=f"{load_seconds:.3f}"
        )

    def ask_to_stop(self, worker: str, grace: timedelta) -> None:
        """Tell the process that computes for this worker to end within the grace or give its job back."""
        self._ask_to_stop(args=[worker, milliseconds(grace + WORKER_LIFE), milliseconds(grace)])

    def dismiss(self, worker: str) -> None:
        """The worker is gone in order."""
        self._redis.delete(keys.WORKER + worker)
        self._redis.zrem(keys.WORKERS, worker)

    def workers(self) -> list[WorkerRecord]:
        """All live workers."""
        records = []
        for name in self._redis.zrange(keys.WORKERS, 0, -1):
            fields = self._redis.hgetall(keys.WORKER + name)
            if "state" not in fields:
                self._redis.zrem(keys.WORKERS, name)
                continue
            records.append(WorkerRecord.parse(name, fields))
        return records

    def count_ready(self, max_canvas_pixels: int | None = None) -> int:
        """How many jobs wait, in all lanes, that a worker with this limit (None: any canvas) can run."""
        return int(self._count_ready(args=[max_canvas_pixels or ""]))

    def leader_lock(self) -> Lock:
        """The lock that makes one of several dispatchers the active one; it dies with its holder within seconds."""
        return Lock(self._redis, keys.DISPATCHER, timeout=LEADER_LIFE.total_seconds(), blocking=False)

    def queue_length(self, queue: str) -> int:
        """How many messages wait in a Celery queue."""
        return int(self._redis.llen(keys.PREFIX + queue))

    def wait_for_work(self, timeout: timedelta) -> None:
        """Return at once when something changed that the dispatcher should look at, else after the timeout."""
        self._redis.blpop([keys.WAKE], timeout=timeout.total_seconds())

    @staticmethod
    def _demand(held: int, claim: Claim) -> None:
        if not held:
            raise StaleClaim(f"{claim.job.id}: fence {claim.job.fence} is not the current one")
