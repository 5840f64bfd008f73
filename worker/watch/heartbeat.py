"""A thread that keeps the lease of the running job and tells the service that this worker lives,
each second.

It shares the process with the computation, so a process that hangs as a whole loses its lease, as
it should.
"""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, StaleClaim
from core.records.base import SCHEMA_VERSION
from core.records.job import Stage, Timing
from core.records.worker import ModelInfo, WorkerState
from core.store.roles.worker import Claim, JobStore
from worker.watch.facts import AttemptEnd, Facts, FactsSender

INTERVAL_SECONDS = 1.0  # a fifth of the lease: four beats may be lost

log = structlog.get_logger("worker")


class Heartbeat:
    """Reports to store and parent from a thread of its own; the running job asks it whether to go
    on.

    Args:
        store: where this worker is listed.
        worker: its name.
        device: as torch names it.
        about: what else its record shows: host, limits.
    """

    def __init__(
        self,
        store: JobStore,
        worker: str,
        device: str = "cpu",
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.worker = worker
        self._store = store
        self._about = {"device": device, "schema": str(SCHEMA_VERSION), **(about or {})}
        self._facts = Facts(os.getpid(), device)
        self._sender = FactsSender()
        self._ready = False
        self._claim: Claim | None = None
        self._stale = False
        self._renewed_at = 0.0  # by time.monotonic()
        self._stop_at: float | None = None  # by time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat; this worker is loading its model."""
        self._tell()
        self._thread.start()

    def ready(self, model: ModelInfo, load_seconds: float, gpu: str = "") -> None:
        """The model is loaded; `gpu` is the card's UUID, where there is one."""
        self._about |= {
            "model": model.model_dump_json(),
            "model_load_seconds": f"{load_seconds:.3f}",
        }
        self._facts = replace(self._facts, gpu=gpu, model_loaded=True, load_seconds=load_seconds)
        self._store.report_load(self.worker, model, load_seconds)
        self._ready = True
        self._tell()

    def end(self) -> None:
        """Stop beating; the worker vanishes from the list of live ones."""
        self._ended.set()
        self._thread.join(timeout=INTERVAL_SECONDS * 2)
        self._store.dismiss(self.worker)
        self._sender.close()

    def hold(self, claim: Claim) -> None:
        """From now on renew this job's lease too."""
        self._stale, self._claim = False, claim
        job = claim.job
        facts = replace(self._facts, job=job.id, fence=job.fence)
        self._facts = replace(
            facts, request_id=job.request_id, tenant=job.tenant, attempt=job.attempts
        )
        self._tell()

    def renewed(self) -> None:
        """The job's progress was told and its lease renewed with it; a beat that comes soon after
        need not do it.
        """
        self._renewed_at = time.monotonic()

    def reached(self, stage: Stage, step: int) -> None:
        """How far the job is, for the parent, which ends a process that gets no further."""
        self._facts = replace(self._facts, stage=stage, step=step)
        self._sender.send(self._facts)

    def ended(self, outcome: str, timing: Timing | None = None, peak_memory_bytes: int = 0) -> None:
        """An attempt is over, or there was none, for the metrics of this worker."""
        self._sender.send(
            AttemptEnd(outcome, timing.model_dump() if timing else {}, peak_memory_bytes)
        )

    def release(self) -> None:
        """The job has ended; the slot is free."""
        self._claim = None
        self._facts = replace(
            self._facts, job="", fence=0, stage="", step=0, request_id="", tenant="", attempt=0
        )
        self._tell()

    @property
    def place(self) -> str:
        """Host and device, which outlive this process."""
        return self._facts.place

    @property
    def lost_the_job(self) -> bool:
        """Whether somebody else was given the job meanwhile."""
        return self._stale

    @property
    def seconds_to_stop(self) -> float | None:
        """How long this worker may still compute, once it was asked to stop."""
        return None if self._stop_at is None else self._stop_at - time.monotonic()

    def _tell(self) -> None:
        try:
            self._report()
        except RedisError as error:  # the next beat says it again; a claimed job has to run or to be given up meanwhile
            log.warning("cannot report the state of the slot", error=str(error))

    def _report(self) -> None:
        """The whole record: Redis may have been away for longer than it lives."""
        self._sender.send(self._facts)
        claim = self._claim
        busy = WorkerState.BUSY if claim else WorkerState.IDLE
        state = busy if self._ready else WorkerState.LOADING
        left = self._store.report(
            self.worker, state=state, job=claim.job.id if claim else "", **self._about
        )
        if left is not None:
            self._stop_at = time.monotonic() + left.total_seconds()

    def _beat(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            claim = self._claim
            try:
                self._report()
                if claim and time.monotonic() - self._renewed_at > INTERVAL_SECONDS / 2:
                    self._store.renew(claim)
            except CancelRequested:
                continue  # the computing thread is told at its next step
            except StaleClaim:
                self._stale = claim is self._claim  # an ended job's claim is stale too, and no news
            except RedisError as error:
                log.warning("heartbeat did not reach Redis", error=str(error))
