"""Renew the running job's lease and report this worker, every second.

It shares the process with the computation, so a process that hangs as a whole loses its lease.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, StaleClaim
from core.records.base import SCHEMA_VERSION
from core.records.job import Stage, Timing
from core.records.worker import ModelInfo, WorkerState
from core.store.roles.worker import Claim, WorkerStore
from core.telemetry.metrics import STORAGE_ERRORS, values_by_label
from worker.gpu.usage import memory_in_use
from worker.watch.status import AttemptEnd, ChildStatus, StatusSender

INTERVAL_SECONDS = 1.0  # a fifth of the lease: four heartbeats may be lost

log = structlog.get_logger("worker")


class Heartbeat:
    """Reports to Redis and to the parent; the running job asks it whether to go on.

    Args:
        store: where this worker is registered.
        worker: its name.
        device: as torch names it.
        about: further fields of its record: host, limits.
    """

    def __init__(
        self,
        store: WorkerStore,
        worker: str,
        device: str = "cpu",
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.worker = worker
        self._store = store
        self._about = {"device": device, "schema": str(SCHEMA_VERSION), **(about or {})}
        self._status = ChildStatus(os.getpid(), device)
        self._sender = StatusSender()
        self._state = WorkerState.LOADING
        self._claim: Claim | None = None
        self._lost_claim: Claim | None = None
        self._canceled_claim: Claim | None = None
        self._renewed_at = 0.0  # by time.monotonic()
        self._stop_at: float | None = None  # by time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to report; this worker is loading its model."""
        self._report_or_log()
        self._thread.start()

    def ready(
        self,
        model: ModelInfo,
        load_seconds: float,
        gpu: str = "",
        adapters: Sequence[ModelInfo] = (),
    ) -> None:
        """Report that the model is loaded; `gpu` is the card's UUID, if there is one."""
        self._about |= {
            "model": model.model_dump_json(),
            "model_load_seconds": f"{load_seconds:.3f}",
            "adapters": f"[{','.join(adapter.model_dump_json() for adapter in adapters)}]",
        }
        self._status = replace(self._status, gpu=gpu, model_loaded=True, load_seconds=load_seconds)
        self._store.report_load(self.worker, model, load_seconds)
        self._state = WorkerState.IDLE
        self._report_or_log()

    def end(self) -> None:
        """Stop reporting, and remove the worker from the list of live ones."""
        self._ended.set()
        self._thread.join(timeout=INTERVAL_SECONDS * 2)
        self._store.dismiss(self.worker)
        self._sender.close()

    def hold(self, claim: Claim) -> None:
        """Renew this job's lease from now on."""
        self._claim = claim
        job = claim.job
        self._status = replace(
            self._status,
            job=job.id,
            fence=job.fence,
            request_id=job.request_id,
            tenant=job.tenant,
            attempt=job.attempts,
        )
        self._report_or_log()

    def release(self) -> None:
        """Renew no lease: the job has ended."""
        self._claim = None
        self._status = replace(
            self._status, job="", fence=0, stage="", step=0, request_id="", tenant="", attempt=0
        )
        self._report_or_log()

    def renewed(self) -> None:
        """Note that the lease was renewed with the job's progress: the next heartbeat need not."""
        self._renewed_at = time.monotonic()

    def reached(self, stage: Stage, step: int) -> None:
        """Report how far the job is to the parent, which ends a process that makes no progress."""
        self._status = replace(self._status, stage=stage, step=step)
        self._sender.send(self._status)

    def attempt_ended(
        self, outcome: str, timing: Timing | None = None, peak_memory_bytes: int = 0
    ) -> None:
        """Report the end of an attempt, or a message without a job, for the worker's metrics."""
        seconds = timing.model_dump() if timing else {}
        self._sender.send(AttemptEnd(outcome, seconds, peak_memory_bytes))

    def set_waits_for_storage(self, waits: bool) -> None:
        """Report whether this worker waits for the object storage and so takes no jobs."""
        if waits != self._status.waits_for_storage:
            self._status = replace(self._status, waits_for_storage=waits)
            self._about["reason"] = "the object storage does not answer" if waits else ""
            self._report_or_log()

    @property
    def place(self) -> str:
        """Host and device, which outlive this process."""
        return self._status.place

    @property
    def lost_the_job(self) -> bool:
        """Whether another worker was given the job."""
        return self._claim is not None and self._lost_claim is self._claim

    @property
    def cancel_requested(self) -> bool:
        """Whether the caller canceled the job."""
        return self._claim is not None and self._canceled_claim is self._claim

    @property
    def seconds_to_stop(self) -> float | None:
        """How long this worker may still compute; None unless it was asked to stop."""
        return None if self._stop_at is None else self._stop_at - time.monotonic()

    def _report_or_log(self) -> None:
        try:
            self._report()
        except RedisError as error:
            # The next heartbeat reports again, and a claimed job has to run meanwhile.
            log.warning("cannot report the state of the worker", error=str(error))

    def _report(self) -> None:
        """Send the whole record: Redis may have lost it meanwhile."""
        self._status = replace(self._status, storage_errors=values_by_label(STORAGE_ERRORS))
        self._sender.send(self._status)
        claim = self._claim
        state = self._state
        if state is WorkerState.IDLE and claim:
            state = WorkerState.BUSY
        elif state is WorkerState.IDLE and self._status.waits_for_storage:
            state = WorkerState.PAUSED
        memory = memory_in_use(self._status.gpu)
        left = self._store.report(
            self.worker,
            state=state,
            job=claim.job.id if claim else "",
            memory=memory.model_dump_json() if memory else "",
            **self._about,
        )
        if left is not None:
            self._stop_at = time.monotonic() + left.total_seconds()

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            claim = self._claim
            try:
                self._report()
                if claim and time.monotonic() - self._renewed_at > INTERVAL_SECONDS / 2:
                    self._store.renew(claim)
            except CancelRequested:
                self._canceled_claim = claim
            except StaleClaim:
                self._lost_claim = claim
            except RedisError as error:
                log.warning("heartbeat did not reach Redis", error=str(error))
