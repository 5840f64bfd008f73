"""Progress of one attempt: its stage and step, its remaining time, and whether it may go on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, DeadlineExceeded, StaleClaim, StorageFailed
from core.records.job import Progress, Stage, Timing
from core.shots.shot import timeline_of
from core.store.forecast import StageSeconds
from core.store.roles.worker import Claim, WorkerStore
from worker.frames.framing import Pixels
from worker.jobs.estimate import Estimate
from worker.jobs.previews import Previews
from worker.jobs.trace import AttemptTrace
from worker.watch.heartbeat import Heartbeat

PUBLISH_SECONDS = 1.0  # at most, between two reports of a stage that has no steps
LOOK_SECONDS = 0.2  # between looks at whether a waiting attempt may go on
STOP_MARGIN_SECONDS = 2.0  # before the grace ends, in which the job is given back

log = structlog.get_logger("worker")


class WorkerStops(Exception):
    """The worker was asked to stop and this job would not end in time: it has to be given back."""


class JobProgress:
    """Follows one attempt through its stages. Its methods raise when the attempt may not go on."""

    def __init__(
        self,
        store: WorkerStore,
        claim: Claim,
        heartbeat: Heartbeat,
        timeout: timedelta,
        trace: AttemptTrace,
        expected: StageSeconds | None = None,
    ) -> None:
        self._store = store
        self._claim = claim
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._trace = trace
        request = claim.job.request
        self._steps = request.steps  # of a run of the model; an engine may count other steps
        passes = [len(segment.passes) for segment in timeline_of(request).segments]
        self._runs = passes * request.variants  # of the model, by segment
        self._segments_of_variant = len(passes)
        self._segment = 1
        self._runs_done = 0
        self._previews = Previews(store, claim.job)
        self._started = time.monotonic()
        self._stage = Stage.LOADING
        self._stage_started = self._started
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._estimate = Estimate(expected, request.steps, sum(self._runs))
        self._step = 0
        self._eta: float | None = None
        self._published_at = 0.0
        self.reused_segments = 0  # whose frames were copied from earlier work
        self._paused_seconds = 0.0  # in which the attempt waited for the object storage

    def begin(self, stage: Stage) -> None:
        """Enter a stage.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller canceled it.
            DeadlineExceeded: this attempt has taken longer than any may.
            WorkerStops: the job has to be given back.
        """
        self._close_stage()
        self._trace.begin(stage)
        self._stage = stage
        before_steps = stage in (Stage.LOADING, Stage.ENCODING, Stage.DENOISING)
        self._publish(step=0 if before_steps else self._steps)

    def begin_segment(self, number: int) -> None:
        """Note which segment begins; the first is 1, and variants count on."""
        self._segment = number
        self._runs_done = sum(self._runs[: number - 1])

    def begin_pass(self, number: int) -> None:
        """Note which of the segment's runs of the model begins; the first is 0."""
        self._runs_done = sum(self._runs[: self._segment - 1]) + number

    def reuse_segment(self) -> None:
        """Note that this segment needs no run of the model."""
        self._estimate.runs -= self._runs[self._segment - 1]
        self._runs[self._segment - 1] = 0
        self.reused_segments += 1

    def step(self, done: int, steps: int) -> None:
        """Note that this many of a run's steps are done; raises as `begin` does."""
        self._steps = steps
        self._publish(step=done)

    @property
    def model_runs(self) -> int:
        """How often the model runs in this attempt."""
        return sum(self._runs)

    def show(self, picture: Callable[[], Pixels]) -> None:
        """Send a picture of what is being drawn to those who watch, at most two a second."""
        variant, segment = divmod(self._segment - 1, self._segments_of_variant)
        self._previews.offer(picture, variant=variant + 1, segment=segment + 1, step=self._step)

    def timing(self, model_load_seconds: float) -> Timing:
        """Return the seconds so far."""
        self._close_stage()
        job = self._claim.job
        waited = (job.started_at - job.created_at).total_seconds() if job.started_at else 0.0
        return Timing(
            queued_seconds=round(waited, 3),
            run_seconds=round(time.monotonic() - self._started, 3),
            model_load_seconds=round(model_load_seconds, 3),
            encode_seconds=round(self._seconds[Stage.ENCODING], 3),
            denoise_seconds=round(self._seconds[Stage.DENOISING], 3),
            decode_seconds=round(self._seconds[Stage.DECODING], 3),
            export_seconds=round(self._seconds[Stage.EXPORTING], 3),
            upload_seconds=round(self._seconds[Stage.UPLOADING], 3),
        )

    def check(self) -> None:
        """Raise as `begin` does, and report progress; called between parts of a step."""
        if self._heartbeat.lost_the_job:
            raise StaleClaim(f"{self._claim.job.id} was given to another worker")
        if self._heartbeat.cancel_requested:
            raise CancelRequested
        computed = time.monotonic() - self._started - self._paused_seconds
        if computed > self._timeout.total_seconds():
            raise DeadlineExceeded.after(self._timeout)
        left = self._heartbeat.seconds_to_stop
        if left is not None and (self._eta is None or self._eta > left):
            raise WorkerStops
        if time.monotonic() - self._published_at > PUBLISH_SECONDS:
            self._publish(self._step)

    def wait_for_storage(self, seconds: float) -> None:
        """Wait while a computed result cannot be stored; the deadline is paused.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller canceled it.
            WorkerStops: the worker has to stop, so the job has to be given back.
            StorageFailed: the job expired.
        """
        self._heartbeat.set_waits_for_storage(True)
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            if datetime.now(UTC) >= self._claim.job.expires_at:
                raise StorageFailed("the object storage did not answer until the job expired")
            self.check()
            left = self._heartbeat.seconds_to_stop
            if left is not None and left < STOP_MARGIN_SECONDS:
                raise WorkerStops
            time.sleep(min(LOOK_SECONDS, until - now))
            self._paused_seconds += time.monotonic() - now

    def storage_is_back(self) -> None:
        """Note that the results are stored."""
        self._heartbeat.set_waits_for_storage(False)

    def _close_stage(self) -> None:
        now = time.monotonic()
        self._seconds[self._stage] += now - self._stage_started
        self._stage_started = now

    def _publish(self, step: int) -> None:
        now = time.monotonic()
        self._published_at = now
        self._step = step
        share, eta = self._estimate.update(
            self._stage,
            step / max(1, self._steps),
            now - self._stage_started,
            now - self._started,
            self._runs_done,
        )
        is_known = step or self._runs_done or self._estimate.is_measured
        self._eta = round(eta, 1) if is_known else None
        self._heartbeat.reached(self._stage, step)
        self.check()
        progress = Progress(
            stage=self._stage,
            step=step,
            steps=self._steps,
            segment=self._segment,
            segments=len(self._runs),
            percent=round(100 * share, 1),
            eta_seconds=self._eta,
        )
        try:
            self._store.renew(self._claim, progress)
            self._heartbeat.renewed()
        except RedisError as error:
            # Progress may be lost; the lease tells whether the job is still this worker's.
            log.warning("progress did not reach Redis", error=str(error))
