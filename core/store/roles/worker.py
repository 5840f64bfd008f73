"""Give a worker its operations on jobs: claim, renew and end attempts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from core.errors import CancelRequested, JobFailed, StaleClaim, WorkerLost
from core.records.base import SCHEMA_VERSION, Record
from core.records.job import Job, JobState, Output, Progress, QualityReport, Timing
from core.records.offer import Offer
from core.records.preview import Preview
from core.records.request import GenerationRequest
from core.records.worker import ModelInfo
from core.store import redis_keys
from core.store.constants import HOLD_LIFE, LEASE
from core.store.encoding import failure_field, flat, pairs, parse_job
from core.store.forecast import (
    RecentRun,
    StageSeconds,
    decodings_of,
    expected_stages,
    maker_of,
    network_passes,
    recent_run,
)
from core.store.roles.presence import WorkerPresence

FORGIVEN_FOR = timedelta(hours=1)  # within it, a second breakdown of a device is the device's own


@dataclass(frozen=True)
class Claim:
    """A job that this worker may run, and the number that proves it."""

    job: Job

    @property
    def args(self) -> tuple[str, int]:
        """What every later write has to show."""
        return self.job.id, self.job.fence


class WorkerStore(WorkerPresence):
    """Attempts at jobs, beside the worker's own record.

    Calls raise redis-py's errors: the caller decides when to try again.
    """

    def __init__(
        self, url: str, *, schema: int = SCHEMA_VERSION, offer: Offer | None = None
    ) -> None:
        """Connect on the first call.

        Args:
            url: address of Redis.
            schema: the newest record that the worker runs; it also runs the one before.
            offer: the model that it announces and takes jobs for; None for ToonCrafter jobs that
                are for no certain model.
        """
        super().__init__(url, offer)
        self._schema = schema

    def get(self, job_id: str) -> Job | None:
        """Return the record, or None if there is none."""
        fields = self._redis.hgetall(redis_keys.JOB + job_id)
        return parse_job(fields) if fields else None

    def claim(self, worker: str, max_canvas_pixels: int | None = None) -> Claim | None:
        """Take the best ready job and its lease; None if no job waits that this worker can run.

        Args:
            worker: its name.
            max_canvas_pixels: the largest canvas that it takes; None for any.
        """
        fields = self._run("claim", worker, LEASE, *self._abilities(max_canvas_pixels))
        return Claim(parse_job(pairs(fields))) if fields else None

    def peek(self, worker: str, max_canvas_pixels: int | None = None) -> Job | None:
        """Return the job that `claim` would take now, and leave it to whichever worker is first."""
        fields = self._run("peek", worker, *self._abilities(max_canvas_pixels))
        return parse_job(pairs(fields)) if fields else None

    def _abilities(self, max_canvas_pixels: int | None) -> tuple[object, ...]:
        return self._schema, max_canvas_pixels, self._engine.value, self._model

    def expected_stages(self, request: GenerationRequest, model: ModelInfo) -> StageSeconds | None:
        """Return how long a job takes by the model's recent ones; None if it finished none."""
        stored = self._redis.lrange(redis_keys.RUNS, 0, -1)
        runs = map(RecentRun.model_validate_json, stored)
        own = [run for run in runs if run.maker == maker_of(model)]
        return expected_stages(
            own,
            passes=network_passes(request),
            pixels=request.width * request.height,
            decodings=decodings_of(request),
        )

    def renew(self, claim: Claim, progress: Progress | None = None) -> None:
        """Hold the lease for another `LEASE`, with or without new progress.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller canceled it.
        """
        news = progress.model_dump_json() if progress else None
        answer = self._run("renew", *claim.args, LEASE, news)
        _demand(answer != "stale", claim)
        if answer == "canceled":
            raise CancelRequested

    def show(self, job_id: str, preview: Preview) -> None:
        """Send a picture to those who watch the job; nothing keeps it."""
        self._redis.publish(redis_keys.PREVIEW + job_id, preview.model_dump_json())

    def find_segment(self, claim: Claim, digest: str) -> str | None:
        """Return the newest job of the same tenant that has this segment's frames, if one has."""
        job_id: str | None = self._redis.hget(redis_keys.SEGMENT_JOBS + claim.job.tenant, digest)
        return job_id

    def enter_segment(self, claim: Claim, digest: str, size: int, quota: int) -> list[list[str]]:
        """Let later jobs of the tenant find a segment whose frames are stored below this job.

        Args:
            claim: the job.
            digest: of all that made the frames.
            size: of the stored object, in bytes.
            quota: of all segments of the tenant, in bytes.

        Returns:
            Job and digest of segments that had to go: their objects are to be deleted.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        answer = self._run("enter_segment", *claim.args, digest, size, quota)
        _demand(bool(answer), claim)
        return [answer[place : place + 2] for place in range(1, len(answer), 2)]

    def succeed(
        self,
        claim: Claim,
        outputs: Iterable[Output],
        timing: Timing,
        model: ModelInfo,
        *,
        quality: Iterable[QualityReport] = (),
        reused_segments: int = 0,
        model_runs: int | None = None,
    ) -> None:
        """Make the results visible and remember what the run took: the commit of the attempt.

        Args:
            claim: the job.
            outputs: what was stored.
            timing: of this attempt.
            model: that drew it.
            quality: one report for each variant.
            reused_segments: how many were copied from earlier work.
            model_runs: how often the model ran in this attempt; None for all runs of the request.

        Raises:
            StaleClaim: the job is no longer this attempt's; its results stay invisible.
        """
        run = None
        if model_runs != 0:
            run = recent_run(claim.job.request, timing, model, model_runs)
        self._finish(
            claim,
            JobState.SUCCEEDED,
            timing,
            model,
            run.model_dump_json() if run else "",
            outputs=_json_list(outputs),
            quality=_json_list(quality),
            reused_segments=str(reused_segments),
        )

    def fail(self, claim: Claim, error: JobFailed, timing: Timing, model: ModelInfo | None) -> None:
        """End the job with an error.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._finish(claim, JobState.FAILED, timing, model, error=failure_field(error))

    def end_canceled(self, claim: Claim, timing: Timing, model: ModelInfo) -> None:
        """End the job as canceled.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        self._finish(claim, JobState.CANCELED, timing, model)

    def _finish(
        self,
        claim: Claim,
        state: JobState,
        timing: Timing,
        model: ModelInfo | None,
        run: str = "",
        **fields: str,
    ) -> None:
        parts = {
            **fields,
            "timing": timing.model_dump_json(),
            "model": model.model_dump_json() if model else None,
        }
        _demand(self._run("finish", *claim.args, state.value, run, *flat(parts)), claim)

    def give_back(self, claim: Claim) -> None:
        """Let the job wait again in its old place, because this worker stops in order.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        _demand(self._run("give_back", *claim.args), claim)

    def end_lease(self, claim: Claim) -> None:
        """Let the job be taken back at once as a lost one: the process that ran it is dead.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        _demand(self._run("end_lease", *claim.args), claim)

    def report_sick(self, claim: Claim, worker: str, place: str, reason: str) -> str:
        """Quarantine this worker, whose device broke down or hung under a job.

        The job waits again in its old place and nothing counts as lost. A job under which a second
        device broke down, or one device three times, is itself the cause: it fails, and a worker
        that was quarantined for it alone is released, once in `FORGIVEN_FOR`.

        Args:
            claim: the job, whose lease may be lost.
            worker: name of the worker.
            place: its host and device, which stay the same when the worker is restarted.
            reason: what happened, for an operator.

        Returns:
            What became of the job: `queued`, `failed`, `canceled`, or `stale` if it was no longer
            this attempt's.
        """
        error = WorkerLost("the devices of several workers broke down while they ran this job")
        arguments = (worker, place, reason, HOLD_LIFE, FORGIVEN_FOR, failure_field(error))
        return str(self._run("report_sick", *claim.args, *arguments))


def _json_list(records: Iterable[Record]) -> str:
    return json.dumps([record.model_dump(mode="json") for record in records])


def _demand(is_held: int, claim: Claim) -> None:
    if not is_held:
        raise StaleClaim(f"{claim.job.id}: fence {claim.job.fence} is not the current one")
