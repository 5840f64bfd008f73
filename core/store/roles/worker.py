"""Jobs in Redis for worker and dispatcher: blocking, from threads."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import redis

from core.errors import CancelRequested, JobFailed, StaleClaim, WorkerLost
from core.records.base import SCHEMA_VERSION
from core.records.job import MAX_LOST_LEASES, Job, JobState, Output, Progress, Timing
from core.records.worker import ModelInfo
from core.store import keys
from core.store.encoding import failure_field, milliseconds, parse_flat, parse_job
from core.store.forecast import RecentRun
from core.store.lua import leases as lease_scripts
from core.store.lua import workers as worker_scripts
from core.store.workers import HOLD_LIFE, WorkerRegistry

# renewed every second; so long a dead worker's job waits at most for another
LEASE = timedelta(seconds=5)
FORGIVEN_FOR = timedelta(hours=1)  # within it a second breakdown of one device is the device's own
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


class Recovered(NamedTuple):
    """What became of jobs whose workers vanished."""

    requeued: list[str]  # ids
    failed: list[str]
    attempts: list[dict[str, str]]  # that were lost: the records as they were, of whatever version


class JobStore(WorkerRegistry):
    """What dispatcher and worker do with jobs, and with each other.

    Calls raise redis-py's errors: the caller decides when to try again.
    """

    def __init__(
        self,
        url: str,
        *,
        socket_timeout: timedelta = timedelta(seconds=5),
        schema: int = SCHEMA_VERSION,
    ) -> None:
        """Connects with the first call.

        Args:
            url: address of Redis.
            socket_timeout: how long a call may take.
            schema: the newest record that a worker with this store runs; beside it, it runs the one
                before.
        """
        self._schema = schema
        super().__init__(
            redis.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=socket_timeout.total_seconds(),
                socket_connect_timeout=2,
                health_check_interval=10,
            )
        )
        self._claim = self._redis.register_script(lease_scripts.CLAIM)
        self._count_ready = self._redis.register_script(lease_scripts.COUNT_READY)
        self._renew = self._redis.register_script(lease_scripts.RENEW)
        self._finish = self._redis.register_script(lease_scripts.FINISH)
        self._give_back = self._redis.register_script(lease_scripts.GIVE_BACK)
        self._end_lease = self._redis.register_script(lease_scripts.END_LEASE)
        self._recover = self._redis.register_script(lease_scripts.RECOVER)
        self._report_sick = self._redis.register_script(worker_scripts.REPORT_SICK)

    def get(self, job_id: str) -> Job | None:
        """The record, or None where there is none."""
        fields = self._redis.hgetall(keys.JOB + job_id)
        return parse_job(fields) if fields else None

    def claim(self, worker: str, max_canvas_pixels: int | None = None) -> Claim | None:
        """Take the best ready job and its lease, or None where nothing waits that this worker can
        run.

        Args:
            worker: its name.
            max_canvas_pixels: the largest canvas that it takes; None for any.
        """
        fields = self._claim(
            args=[worker, milliseconds(LEASE), self._schema, max_canvas_pixels or ""]
        )
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

    def succeed(
        self, claim: Claim, outputs: Iterable[Output], timing: Timing, model: ModelInfo
    ) -> None:
        """Make the results visible, and remember what the run took; the commit of the attempt.

        Raises:
            StaleClaim: the job is no longer this attempt's; its results stay invisible.
        """
        stored = json.dumps([output.model_dump(mode="json") for output in outputs])
        fields = (
            "outputs",
            stored,
            "timing",
            timing.model_dump_json(),
            "model",
            model.model_dump_json(),
        )
        run = RecentRun.of(claim.job.request, timing, model).model_dump_json()
        self._demand(
            self._finish(args=[*claim.args, JobState.SUCCEEDED.value, run, *fields]), claim
        )

    def fail(self, claim: Claim, error: JobFailed, timing: Timing, model: ModelInfo | None) -> None:
        """End the job with an error.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        fields = ["error", failure_field(error), "timing", timing.model_dump_json()]
        if model:
            fields += ["model", model.model_dump_json()]
        self._demand(
            self._finish(args=[*claim.args, JobState.FAILED.value, NO_RUN, *fields]), claim
        )

    def end_canceled(self, claim: Claim, timing: Timing, model: ModelInfo) -> None:
        """End the job as its caller wished.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        fields = ("timing", timing.model_dump_json(), "model", model.model_dump_json())
        self._demand(
            self._finish(args=[*claim.args, JobState.CANCELED.value, NO_RUN, *fields]), claim
        )

    def give_back(self, claim: Claim) -> None:
        """Let the job wait again in its old place, because this worker stops in order.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._demand(self._give_back(args=list(claim.args)), claim)

    def end_lease(self, claim: Claim) -> None:
        """The process that ran this attempt is dead: let the job be taken back at once, as a lost
        one.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._demand(self._end_lease(args=list(claim.args)), claim)

    def report_sick(self, claim: Claim, worker: str, place: str, reason: str) -> str:
        """This worker's device broke down or hung under a job: the worker claims nothing until
        somebody resumes it.

        The job waits again in its old place and nothing counts as lost. A job under which a second
        device broke down, or one device three times, is to blame itself: it fails, and a worker
        that was quarantined for it alone goes on, once in `FORGIVEN_FOR`.

        Args:
            claim: the job, whose lease may be lost.
            worker: name of the worker.
            place: its host and device, which stay the same when the worker is started anew.
            reason: what happened, in words for an operator.

        Returns:
            What became of the job: `queued`, `failed`, `canceled`, or `stale` where it was not this
                attempt's any more.
        """
        error = WorkerLost("the devices of several workers broke down while they ran this job")
        times = (milliseconds(HOLD_LIFE), milliseconds(FORGIVEN_FOR))
        return str(
            self._report_sick(
                args=[*claim.args, worker, place, reason, *times, failure_field(error)]
            )
        )

    def recover_expired_leases(self) -> Recovered:
        """Return the jobs of vanished workers to the ready set; fail those that lost too many.

        A job that its caller wants no more ends as canceled instead.
        """
        error = WorkerLost(f"{MAX_LOST_LEASES} workers vanished while they ran this job")
        requeued, failed, attempts = self._recover(args=[failure_field(error)])
        return Recovered(
            requeued, failed, [dict(zip(one[::2], one[1::2], strict=True)) for one in attempts]
        )

    def count_ready(
        self, max_canvas_pixels: int | None = None, schema: int = SCHEMA_VERSION
    ) -> int:
        """How many jobs wait, in all lanes, that a worker with this limit (None: any canvas) and
        schema can run now.

        Jobs that wait because as many of their tenant's run as may run do not count.
        """
        return int(self._count_ready(args=[schema, max_canvas_pixels or ""]))

    @staticmethod
    def _demand(held: int, claim: Claim) -> None:
        if not held:
            raise StaleClaim(f"{claim.job.id}: fence {claim.job.fence} is not the current one")
