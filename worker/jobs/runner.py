"""Run jobs one after the other: claim, render, and commit each outcome."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, JobFailed, StaleClaim, Unavailable
from core.objects.storage import ObjectStorage
from core.records.worker import ModelInfo
from core.store.forecast import StageSeconds
from core.store.roles.worker import Claim, WorkerStore
from worker.gpu.device import require_working_device
from worker.gpu.faults import DeviceBroken
from worker.jobs.backoff import Backoff
from worker.jobs.failures import StorageAway, failures_of_a_job
from worker.jobs.progress import JobProgress, WorkerStops
from worker.jobs.rendering import ShotRenderer
from worker.jobs.segments import StoredSegments
from worker.jobs.trace import AttemptTrace
from worker.watch.heartbeat import Heartbeat
from worker.watch.metrics import EMPTY

# A finished video outlives a restart of Redis; the fence keeps a late commit harmless.
COMMIT_PATIENCE_SECONDS = 60.0

log = structlog.get_logger("worker")


@dataclass(frozen=True)
class Limits:
    """What one worker takes.

    Attributes:
        max_canvas_pixels: of the canvas; larger jobs are left to other workers. None for any.
        job_timeout: of one attempt.
        segment_quota: bytes of finished segments that a tenant's jobs may keep; 0 for none.
    """

    max_canvas_pixels: int | None
    job_timeout: timedelta
    segment_quota: int = 0


class Runner:
    """Holds the loaded model and runs one job after the other with it.

    `models` are the loaded one and its adapters, of which jobs choose by name.
    """

    def __init__(
        self,
        store: WorkerStore,
        storage: ObjectStorage,
        heartbeat: Heartbeat,
        renderer: ShotRenderer,
        models: Sequence[ModelInfo],
        load_seconds: float,
        limits: Limits,
    ) -> None:
        self.heartbeat = heartbeat
        self._store = store
        self._storage = storage
        self._storage_backoff = Backoff()  # grows until a job has read its keyframes
        self._renderer = renderer
        self._models = {model.name: model for model in models}
        self._model = models[0]  # of the running job
        self._load_seconds = load_seconds  # 0 once a job has reported them
        self._limits = limits
        self._engine = renderer.engine
        self._is_storage_away = False

    def run_next(self) -> str | None:
        """Run the best ready job to its end; return its id, or None if none waits.

        Raises:
            DeviceBroken: this process can compute no more; its job was given back and its worker
                quarantined.
        """
        claim = self._store.claim(self.heartbeat.worker, self._limits.max_canvas_pixels)
        if claim is None:
            self.heartbeat.attempt_ended(EMPTY)
            return None
        job = claim.job
        self._model = self._models.get(job.request.model or "", next(iter(self._models.values())))
        trace = AttemptTrace(job, self.heartbeat.worker, self._model.device)
        with structlog.contextvars.bound_contextvars(
            job_id=job.id,
            request_id=job.request_id,
            tenant=job.tenant,
            attempt=job.attempts,
            **trace.log_fields,
        ):
            self.heartbeat.hold(claim)
            try:
                self._attempt(claim, trace)
            except StaleClaim:
                self.heartbeat.attempt_ended("stale")
                trace.end("stale")
                log.warning("job was given to another worker, this attempt's work is dropped")
            finally:
                trace.end("broken_off")
                self.heartbeat.release()
        if self._is_storage_away:
            self._wait_for_storage()
        return job.id

    def _wait_for_storage(self) -> None:
        """Take no job until the object storage answers, or this worker is asked to stop."""
        self.heartbeat.set_waits_for_storage(True)
        while self._is_storage_away and not self._stops_within(self._storage_backoff.next_pause()):
            try:
                self._storage.ping()
                self._is_storage_away = False
            except Unavailable as error:
                log.warning("worker waits for the object storage", error=error.detail)
        self.heartbeat.set_waits_for_storage(False)

    def _stops_within(self, seconds: float) -> bool:
        """Wait this long; return at once whether this worker was asked to stop."""
        until = time.monotonic() + seconds
        while self.heartbeat.seconds_to_stop is None and time.monotonic() < until:
            time.sleep(0.2)
        return self.heartbeat.seconds_to_stop is not None

    def _attempt(self, claim: Claim, trace: AttemptTrace) -> None:
        """Render the job and commit the attempt's end, except that of a stale one.

        Raises:
            StaleClaim: the job turned out to be another worker's.
            DeviceBroken: the device computes nothing more in this process.
        """
        progress = JobProgress(
            self._store,
            claim,
            self.heartbeat,
            self._limits.job_timeout,
            trace,
            self._expected(claim),
        )
        load_seconds, self._load_seconds = self._load_seconds, 0.0
        self._engine.begin_job()
        try:
            with failures_of_a_job(lambda: require_working_device(self._engine.device)):
                rendered = self._renderer.render(claim.job, progress, self._memory_of(claim))
            self._storage_backoff.reset()
            timing = progress.timing(load_seconds)
            self._commit(
                lambda: self._store.succeed(
                    claim,
                    rendered.outputs,
                    timing,
                    self._model_of_job(),
                    quality=rendered.quality,
                    reused_segments=progress.reused_segments,
                    model_runs=progress.model_runs,
                )
            )
            self.heartbeat.attempt_ended("succeeded", timing, self._engine.peak_bytes())
            trace.end("succeeded")
            log.info("attempt succeeded", run_seconds=timing.run_seconds)
        except JobFailed as error:
            failure, timing = error, progress.timing(load_seconds)
            self._commit(lambda: self._store.fail(claim, failure, timing, self._model_of_job()))
            self.heartbeat.attempt_ended("failed", timing, self._engine.peak_bytes())
            trace.end("failed", error.code)
            log.warning("attempt failed", code=error.code, detail=error.detail)
        except CancelRequested:
            timing = progress.timing(load_seconds)
            self._commit(lambda: self._store.end_canceled(claim, timing, self._model_of_job()))
            self.heartbeat.attempt_ended("canceled", timing)
            trace.end("canceled")
            log.info("attempt canceled")
        except WorkerStops:
            self._load_seconds = load_seconds
            self._commit(lambda: self._store.give_back(claim))
            self.heartbeat.attempt_ended("given_back")
            trace.end("given_back")
            log.info("job given back, the worker stops")
        except StorageAway as error:
            self._load_seconds = load_seconds
            self._commit(lambda: self._store.give_back(claim))
            self.heartbeat.attempt_ended("given_back")
            trace.end("given_back")
            log.warning("job given back, the object storage fails", error=str(error))
            self._is_storage_away = True
        except DeviceBroken as error:
            self._report_sick(claim, str(error))
            trace.end("device_broken")
            raise

    def _memory_of(self, claim: Claim) -> StoredSegments:
        return StoredSegments(
            self._store, self._storage, claim, self._model, self._limits.segment_quota
        )

    def _expected(self, claim: Claim) -> StageSeconds | None:
        try:
            return self._store.expected_stages(claim.job.request, self._model)
        except RedisError as error:
            log.warning("no times of recent runs", error=str(error))
            return None

    def _report_sick(self, claim: Claim, reason: str) -> None:
        worker, place = self.heartbeat.worker, self.heartbeat.place
        self._commit(lambda: self._store.report_sick(claim, worker, place, reason))
        self.heartbeat.attempt_ended("device_broken")
        log.error(
            "device broken, job given back and worker quarantined", reason=reason, place=place
        )

    def _model_of_job(self) -> ModelInfo:
        return self._model.model_copy(update={"peak_memory_bytes": self._engine.peak_bytes()})

    @staticmethod
    def _commit(write: Callable[[], object]) -> None:
        """Write the end of an attempt, retrying while Redis is away for a short time.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        deadline = time.monotonic() + COMMIT_PATIENCE_SECONDS
        while True:
            try:
                write()
                return
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("commit did not reach Redis, trying again", error=str(error))
                time.sleep(0.5)
