"""A thread that keeps the lease of the running job and tells the service that this worker lives, each second.

It shares the process with the computation, so a process that hangs as a whole loses its lease, as it should.
"""

import threading
import time

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, StaleClaim
from core.job import ModelInfo
from core.job_store import Claim, JobStore
from core.worker_record import WorkerState

INTERVAL_SECONDS = 1.0  # a fifth of the lease: four beats may be lost

log = structlog.get_logger("worker")


class Heartbeat:
    """Reports to the store from a thread of its own; the running job asks it whether to go on."""

    def __init__(self, store: JobStore, worker: str) -> None:
        self.worker = worker
        self._store = store
        self._claim: Claim | None = None
        self._stale = False
        self._stop_at: float | None = None  # by time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self, model: ModelInfo, load_seconds: float) -> None:
        """Announce the loaded model and begin to beat."""
        self._store.report_load(self.worker, model, load_seconds)
        self._thread.start()

    def end(self) -> None:
        """Stop beating; the worker vanishes from the list of live ones."""
        self._ended.set()
        self._thread.join(timeout=INTERVAL_SECONDS * 2)
        self._store.dismiss(self.worker)

    def hold(self, claim: Claim) -> None:
        """From now on renew this job's lease too."""
        self._stale, self._claim = False, claim
        self._tell(WorkerState.BUSY)

    def release(self) -> None:
        """The job has ended; the slot is free."""
        self._claim = None
        self._tell(WorkerState.IDLE)

    @property
    def lost_the_job(self) -> bool:
        """Whether somebody else was given the job meanwhile."""
        return self._stale

    @property
    def seconds_to_stop(self) -> float | None:
        """How long this worker may still compute, once it was asked to stop."""
        return None if self._stop_at is None else self._stop_at - time.monotonic()

    def _tell(self, state: WorkerState) -> None:
        try:
            self._store.report(self.worker, state=state)
        except RedisError as error:  # the next beat says it again; a claimed job has to run or to be given up meanwhile
            log.warning("cannot report the state of the slot", state=state, error=str(error))

    def _beat(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            claim = self._claim
            try:
                left = self._store.report(self.worker, state=WorkerState.BUSY if claim else WorkerState.IDLE)
                if left is not None:
                    self._stop_at = time.monotonic() + left.total_seconds()
                if claim:
                    self._store.renew(claim)
            except CancelRequested:
                continue  # the computing thread is told at its next step
            except StaleClaim:
                self._stale = claim is self._claim  # an ended job's claim is stale too, and no news
            except RedisError as error:
                log.warning("heartbeat did not reach Redis", error=str(error))
