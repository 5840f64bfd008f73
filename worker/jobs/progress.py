"""What a running job tells: its stage, its step, how long it will take; and whether it may go
on.
"""

import time
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import DeadlineExceeded, StaleClaim
from core.records.job import Progress, Stage, Timing
from core.store.roles.worker import Claim, JobStore
from worker.jobs.interruptions import WorkerStops
from worker.jobs.trace import AttemptTrace
from worker.watch.heartbeat import Heartbeat

# Percent of a job that is done when a stage begins: shares of a 50-step job of the published model
# on a GPU.
_BEGINS_AT = {
    Stage.LOADING: 0.0,
    Stage.ENCODING: 1.0,
    Stage.DENOISING: 3.0,
    Stage.DECODING: 90.0,
    Stage.EXPORTING: 97.0,
    Stage.UPLOADING: 99.0,
}
_DENOISING_SPAN = _BEGINS_AT[Stage.DECODING] - _BEGINS_AT[Stage.DENOISING]

log = structlog.get_logger("worker")


class JobProgress:
    """Follows one attempt through its stages. `begin` and `step` raise when the attempt may not go
    on.
    """

    def __init__(
        self,
        store: JobStore,
        claim: Claim,
        heartbeat: Heartbeat,
        timeout: timedelta,
        trace: AttemptTrace,
    ) -> None:
        self._store = store
        self._claim = claim
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._trace = trace
        self._steps = claim.job.request.steps
        self._started = time.monotonic()
        self._stage = Stage.LOADING
        self._stage_started = self._started
        self._seconds = dict.fromkeys(Stage, 0.0)

    def begin(self, stage: Stage) -> None:
        """Enter a stage.

        Raises:
            StaleClaim: the job is no longer this attempt's.
            CancelRequested: the caller wants it no more.
            DeadlineExceeded: this attempt has taken longer than any may.
            WorkerStops: the job has to be given back.
        """
        self._close_stage()
        self._trace.begin(stage)
        self._stage = stage
        self._publish(
            step=0 if stage in (Stage.LOADING, Stage.ENCODING, Stage.DENOISING) else self._steps
        )

    def step(self, done: int) -> None:
        """So many denoising steps are done; raises as `begin` does."""
        self._publish(step=done)

    def timing(self, model_load_seconds: float) -> Timing:
        """The seconds so far."""
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

    def _close_stage(self) -> None:
        now = time.monotonic()
        self._seconds[self._stage] += now - self._stage_started
        self._stage_started = now

    def _publish(self, step: int) -> None:
        percent = _BEGINS_AT[self._stage]
        if self._stage is Stage.DENOISING:
            percent += _DENOISING_SPAN * step / self._steps
        eta = self._eta(percent) if step else None
        self._heartbeat.reached(self._stage, step)
        self._check_whether_to_go_on(eta)
        progress = Progress(
            stage=self._stage,
            step=step,
            steps=self._steps,
            percent=round(percent, 1),
            eta_seconds=eta,
        )
        try:
            self._store.renew(self._claim, progress)
            self._heartbeat.renewed()
        except (
            RedisError
        ) as error:  # news may be lost; the lease tells whether the job still is ours
            log.warning("progress did not reach Redis", error=str(error))

    def _eta(self, percent: float) -> float:
        elapsed = time.monotonic() - self._started
        return round(elapsed * (100.0 - percent) / percent, 1)

    def _check_whether_to_go_on(self, eta: float | None) -> None:
        if self._heartbeat.lost_the_job:
            raise StaleClaim(f"{self._claim.job.id} was given to another worker")
        if time.monotonic() - self._started > self._timeout.total_seconds():
            raise DeadlineExceeded.after(self._timeout)
        left = self._heartbeat.seconds_to_stop
        if left is not None and (eta is None or eta > left):
            raise WorkerStops
