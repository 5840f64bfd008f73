"""Run jobs one after the other: the device draws one while the one before is finished."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from redis.exceptions import RedisError

from core.errors import Unavailable
from core.objects.storage import ObjectStorage
from core.records.job import Job
from core.records.worker import ModelInfo
from core.store.forecast import StageSeconds
from core.store.roles.worker import Claim, WorkerStore
from worker.backoff import growing_pauses
from worker.gpu.faults import DeviceBroken
from worker.jobs.attempt import Attempt
from worker.jobs.finisher import Finisher
from worker.jobs.progress import LOOK_SECONDS, JobProgress
from worker.jobs.read_ahead import ReadAhead
from worker.jobs.rendering import ShotRenderer
from worker.jobs.segments import StoredSegments
from worker.jobs.trace import AttemptTrace
from worker.watch.heartbeat import Heartbeat
from worker.watch.metrics import EMPTY

# Of a process whose device is broken, in which it finishes the job that is drawn already.
LAST_SECONDS = 30.0

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

    At most two jobs are claimed at a time: one is drawn by the calling thread, and the one before
    is encoded, stored and committed by the finisher's. Each has a lease and an attempt of its own.
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
        self._storage_pauses = growing_pauses()  # until a job has read its keyframes
        self._renderer = renderer
        self._models = {model.name: model for model in models}
        self._loaded_model = models[0]
        self._load_seconds = load_seconds  # 0 once a job has reported them
        self._limits = limits
        self._finisher = Finisher()
        self._read_ahead = ReadAhead(self._peek, renderer.prepare)

    def run_all(self) -> None:
        """Run ready jobs until none waits and all have ended.

        Raises:
            DeviceBroken: this process can compute no more; its job was given back and its worker
                quarantined.
        """
        try:
            if self.run_next() is None:
                self.heartbeat.attempt_ended(EMPTY)
            while self.run_next() or not self.has_ended_within(LOOK_SECONDS):
                pass
        except DeviceBroken:
            self.heartbeat.stop_within(LAST_SECONDS)
            raise
        finally:
            self._finisher.is_free_within(None)

    def run_next(self) -> str | None:
        """Draw the best ready job and hand it to the finisher; return its id.

        None if no job waits, or the worker waits for the object storage.

        Raises:
            DeviceBroken: as `run_all`.
        """
        if self.heartbeat.waits_for_storage:
            return None
        claim = self._store.claim(self.heartbeat.worker, self._limits.max_canvas_pixels)
        if claim is None:
            return None
        job = claim.job
        trace = AttemptTrace(job, self.heartbeat.worker, self._loaded_model.device)
        with structlog.contextvars.bound_contextvars(
            job_id=job.id,
            request_id=job.request_id,
            tenant=job.tenant,
            attempt=job.attempts,
            **trace.log_fields,
        ):
            attempt = self._begin(claim, trace)
            self._run(attempt, job)
        if attempt.storage_is_away:
            self._wait_for_storage()
        return job.id

    def has_ended_within(self, seconds: float | None) -> bool:
        """Wait this long, None for any time, and tell whether every drawn job has ended.

        Raises:
            DeviceBroken: as `run_all`.
        """
        is_free = self._finisher.is_free_within(seconds)
        self._finisher.raise_failure()
        return is_free

    def _begin(self, claim: Claim, trace: AttemptTrace) -> Attempt:
        lease = self.heartbeat.hold(claim)
        model = self._models.get(claim.job.request.model or "", self._loaded_model)
        progress = JobProgress(
            self._store,
            lease,
            self._limits.job_timeout,
            trace,
            self._expected(claim.job, model),
            on_device=self._finisher.start,
            on_last_step=self._read_ahead.begin,
        )
        memory = StoredSegments(
            self._store,
            self._storage,
            claim,
            model,
            self._limits.segment_quota,
            progress.check_lease,
        )
        return Attempt(
            self._store,
            self.heartbeat,
            self._renderer,
            lease,
            progress,
            trace,
            memory,
            model,
            self._load_seconds,
        )

    def _run(self, attempt: Attempt, job: Job) -> None:
        drawn = attempt.draw(partial(self._read_ahead.shot_of, job), self._finisher.is_free_within)
        if not attempt.storage_is_away:
            self._load_seconds = 0.0
            self._storage_pauses = growing_pauses()
        if drawn is not None:
            self._finisher.begin(partial(attempt.finish, drawn))
            self._finisher.raise_failure()  # of the job before
            if job.lost_leases:
                self.has_ended_within(None)

    def _wait_for_storage(self) -> None:
        """Take no job until the object storage answers, or this worker is asked to stop."""
        self.heartbeat.set_waits_for_storage(True)
        is_away = True
        while is_away and not self._stops_within(next(self._storage_pauses)):
            try:
                self._storage.ping()
                is_away = False
            except Unavailable as error:
                log.warning("worker waits for the object storage", error=error.detail)
        self.heartbeat.set_waits_for_storage(False)

    def _stops_within(self, seconds: float) -> bool:
        """Wait this long; return at once whether this worker was asked to stop."""
        until = time.monotonic() + seconds
        while self.heartbeat.seconds_to_stop is None and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        return self.heartbeat.seconds_to_stop is not None

    def _peek(self) -> Job | None:
        return self._store.peek(self.heartbeat.worker, self._limits.max_canvas_pixels)

    def _expected(self, job: Job, model: ModelInfo) -> StageSeconds | None:
        try:
            return self._store.expected_stages(job.request, model)
        except RedisError as error:
            log.warning("no times of recent runs", error=str(error))
            return None
