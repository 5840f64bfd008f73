"""Renew the leases of this worker's jobs and report the worker, every second.

It shares the process with the computation, so a process that hangs as a whole loses its leases.
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
from core.records.job import Timing
from core.records.worker import ModelInfo, WorkerState
from core.store.roles.worker import Claim, WorkerStore
from core.telemetry.metrics import storage_counts
from worker.gpu.usage import memory_in_use
from worker.watch.lease import Lease
from worker.watch.status import AttemptEnd, ChildStatus, StatusSender

INTERVAL_SECONDS = 1.0  # a fifth of the lease: four heartbeats may be lost
END_SECONDS = 2.0  # at most, in which the thread ends; Redis may keep it longer

log = structlog.get_logger("worker")


class Heartbeat:
    """Reports to Redis and to the parent, and keeps the leases of one or two jobs.

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
        self._lock = threading.Lock()  # of the leases: jobs begin and end in two threads
        self._leases: tuple[Lease, ...] = ()  # in the order of their claims
        self._waits_for_storage = False
        self._storage_counts: Sequence[float] = ()  # once a second: each step is told as well
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
        self._thread.join(timeout=END_SECONDS)
        self._store.dismiss(self.worker)
        self._sender.close()

    def hold(self, claim: Claim) -> Lease:
        """Renew this job's lease from now on."""
        lease = Lease(claim, self._tell_parent, lambda: self.seconds_to_stop)
        with self._lock:
            self._leases = (*self._leases, lease)
        self._report_or_log()
        return lease

    def release(self, lease: Lease) -> None:
        """Renew this lease no more: the attempt has ended."""
        with self._lock:
            self._leases = tuple(one for one in self._leases if one is not lease)
        self._report_or_log()

    def attempt_ended(
        self, outcome: str, timing: Timing | None = None, peak_memory_bytes: int = 0
    ) -> None:
        """Report the end of an attempt, or a message without a job, for the worker's metrics."""
        seconds = timing.model_dump() if timing else {}
        self._sender.send(AttemptEnd(outcome, seconds, peak_memory_bytes))

    def set_waits_for_storage(self, waits: bool) -> None:
        """Report whether this worker takes no jobs because the object storage fails."""
        self._waits_for_storage = waits
        self._report_or_log()

    def stop_within(self, seconds: float) -> None:
        """Let jobs end that fit this time, and give the others back."""
        self._stop_at = time.monotonic() + seconds

    @property
    def waits_for_storage(self) -> bool:
        """Whether this worker or one of its jobs waits for the object storage."""
        return self._waits_for_storage or any(one.waits_for_storage for one in self._leases)

    @property
    def place(self) -> str:
        """Host and device, which outlive this process."""
        return self._status.place

    @property
    def seconds_to_stop(self) -> float | None:
        """How long this worker may still compute; None unless it was asked to stop."""
        return None if self._stop_at is None else self._stop_at - time.monotonic()

    def _tell_parent(self) -> None:
        """Report to the parent, which ends a process that makes no progress."""
        status = replace(
            self._status,
            jobs=tuple(lease.status for lease in self._leases),
            waits_for_storage=self.waits_for_storage,
            storage_counts=self._storage_counts,
        )
        self._sender.send(status)

    def _report_or_log(self) -> None:
        try:
            self._report()
        except RedisError as error:
            # The next heartbeat reports again, and a claimed job has to run meanwhile.
            log.warning("cannot report the state of the worker", error=str(error))

    def _report(self) -> None:
        """Send the whole record: Redis may have lost it meanwhile."""
        self._storage_counts = storage_counts()
        self._tell_parent()
        jobs = [lease.claim.job.id for lease in self._leases]
        waits, state = self.waits_for_storage, self._state
        if state is WorkerState.IDLE and jobs:
            state = WorkerState.BUSY
        elif state is WorkerState.IDLE and waits:
            state = WorkerState.PAUSED
        memory = memory_in_use(self._status.gpu)
        left = self._store.report(
            self.worker,
            state=state,
            job=jobs[-1] if jobs else "",
            finishing=jobs[0] if jobs[1:] else "",
            memory=memory.model_dump_json() if memory else "",
            reason="the object storage does not answer" if waits else "",
            **self._about,
        )
        if left is not None:
            self.stop_within(left.total_seconds())

    def _run(self) -> None:
        while not self._ended.wait(INTERVAL_SECONDS):
            leases = self._leases
            self._report_or_log()
            for lease in leases:
                if time.monotonic() - lease.renewed_at > INTERVAL_SECONDS / 2:
                    self._renew(lease)

    def _renew(self, lease: Lease) -> None:
        try:
            self._store.renew(lease.claim)
        except CancelRequested:
            lease.cancel_requested = True
        except StaleClaim:
            lease.is_lost = True
        except RedisError as error:
            log.warning("heartbeat did not reach Redis", error=str(error))
