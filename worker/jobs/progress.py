"""Progress of one attempt: its stage and step, its remaining time, and whether it may go on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, DeadlineExceeded, StaleClaim, StorageFailed
from core.records.job import Progress, Stage, Timing
from core.records.plan import timeline_of
from core.store.forecast import StageSeconds
from core.store.roles.worker import WorkerStore
from worker.frames.framing import Pixels
from worker.jobs.estimate import Estimate
from worker.jobs.previews import Previews
from worker.jobs.trace import AttemptTrace
from worker.watch.lease import Lease
from worker.watch.status import ON_DEVICE

PUBLISH_SECONDS = 1.0  # at most, between two reports of a stage that has no steps
LOOK_SECONDS = 0.2  # between looks at whether a waiting attempt may go on
STOP_MARGIN_SECONDS = 2.0  # before the grace ends, in which the job is given back

log = structlog.get_logger("worker")


class WorkerStops(Exception):
    """The worker was asked to stop and this job would not end in time: it has to be given back."""


class JobProgress:
    """Follows one attempt through its stages. Its methods raise when the attempt may not go on.

    One thread at a time uses it; `check_lease` is for any.

    Args:
        store: takes the progress.
        lease: of the attempt.
        timeout: of the attempt.
        trace: of the attempt.
        expected: stage times of all runs of the model, if they are known.
        on_device: called when the device begins to work.
        on_last_step: called when the last run of the model has at most one step left.
    """

    def __init__(
        self,
        store: WorkerStore,
        lease: Lease,
        timeout: timedelta,
        trace: AttemptTrace,
        expected: StageSeconds | None,
        *,
        on_device: Callable[[], None],
        on_last_step: Callable[[], None],
    ) -> None:
        self._store = store
        self._lease = lease
        self._job = lease.claim.job
        self._timeout = timeout
        self._trace = trace
        self._on_device = on_device
        self._on_last_step = on_last_step
        request = self._job.request
        self._steps = request.steps  # of a run of the model; an engine may count other steps
        passes = [len(segment.passes) for segment in timeline_of(request).segments]
        self._runs = passes * request.variants  # of the model, by segment
        self._segments_of_variant = len(passes)
        self._segment = 1
        self._runs_done = 0
        self._previews = Previews(store, self._job)
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
        if stage in ON_DEVICE:
            self._on_device()

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
        if done == max(0, steps - 1) and self._runs_done == self.model_runs - 1:
            self._on_last_step()

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
        job = self._job
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
        self.check_lease()
        computed = time.monotonic() - self._started - self._paused_seconds
        if computed > self._timeout.total_seconds():
            raise DeadlineExceeded.after(self._timeout)
        left = self._lease.seconds_to_stop()
        if left is not None and (self._eta is None or self._eta > left):
            raise WorkerStops
        if time.monotonic() - self._published_at > PUBLISH_SECONDS:
            self._publish(self._step)

    def check_lease(self) -> None:
        """Raise if the heartbeat found that this attempt has no use.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller canceled it.
        """
        if self._lease.is_lost:
            raise StaleClaim(f"{self._job.id} was given to another worker")
        if self._lease.cancel_requested:
            raise CancelRequested

    def wait_for_turn(self, is_free: Callable[[float], bool]) -> None:
        """Wait for the job before this one; the lease is kept and the deadline paused.

        Args:
            is_free: waits for at most the given seconds and tells whether that job has ended.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller canceled it.
            WorkerStops: the worker has to stop, so the job has to be given back.
        """
        while not self._wait(is_free):
            self._lease.pause()
            self._check_wait()
        self._lease.go_on()

    def wait_for_storage(self, seconds: float) -> None:
        """Wait while a computed result cannot be stored; otherwise as `wait_for_turn`.

        Raises:
            StorageFailed: the job expired.
            Everything that `wait_for_turn` raises.
        """
        until = time.monotonic() + seconds

        def is_over(most: float) -> bool:
            time.sleep(max(0.0, min(most, until - time.monotonic())))
            return time.monotonic() >= until

        self._lease.pause(for_storage=True)
        is_waiting = True
        while is_waiting:
            if datetime.now(UTC) >= self._job.expires_at:
                raise StorageFailed("the object storage did not answer until the job expired")
            self._check_wait()
            is_waiting = not self._wait(is_over)

    def storage_is_back(self) -> None:
        """Note that the results are stored."""
        self._lease.go_on()

    def _wait(self, wait: Callable[[float], bool]) -> bool:
        begun = time.monotonic()
        is_over = wait(LOOK_SECONDS)
        self._paused_seconds += time.monotonic() - begun
        return is_over

    def _check_wait(self) -> None:
        self.check()
        left = self._lease.seconds_to_stop()
        if left is not None and left < STOP_MARGIN_SECONDS:
            raise WorkerStops

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
        self._lease.reached(self._stage, step)
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
            self._store.renew(self._lease.claim, progress)
            self._lease.renewed()
        except RedisError as error:
            # Progress may be lost; the lease tells whether the job is still this worker's.
            log.warning("progress did not reach Redis", error=str(error))
