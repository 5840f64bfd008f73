"""End a child process that hangs, and record what became of its job.

A child that hangs cannot do this itself: its heartbeat has stopped too, or goes on beside a kernel
that never ends. The parent computes nothing, so it always answers.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from redis.exceptions import RedisError

from core.errors import DeadlineExceeded, StaleClaim
from core.records.job import Timing
from core.store.roles.worker import Claim, WorkerStore
from core.telemetry.tracing import trace_lost_attempt
from worker.gpu.faults import GpuFaults
from worker.watch.diagnosis import ChildMonitor, Diagnosis
from worker.watch.metrics import WorkerMetrics
from worker.watch.status import AttemptEnd, ChildStatus, JobStatus, StatusReceiver

LOOK_SECONDS = 1.0
END_SECONDS = 2.0  # at most, in which the thread ends; Redis may keep it longer

Write = Callable[[WorkerStore], object]

log = structlog.get_logger("worker")


class Watchdog:
    """Receives the child's reports and acts on what the monitor diagnoses.

    Args:
        open_store: called in the thread, once Redis is needed.
        worker: name of this worker.
        monitor: decides when the child has to end.
        job_timeout: named in the error of an attempt that is overdue.
    """

    def __init__(
        self,
        open_store: Callable[[], WorkerStore],
        worker: str,
        monitor: ChildMonitor,
        job_timeout: timedelta,
    ) -> None:
        self._open_store = open_store
        self._worker = worker
        self._job_timeout = job_timeout
        self._monitor = monitor
        self._gpu = GpuFaults("")
        self.metrics = WorkerMetrics()
        self._receiver = StatusReceiver()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def end(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join(timeout=END_SECONDS)
        self._receiver.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            for report in self._receiver.receive(LOOK_SECONDS):
                if isinstance(report, AttemptEnd):
                    self.metrics.count(report)
                else:
                    self._take(report)
            self._look()

    def _take(self, status: ChildStatus) -> None:
        self.metrics.show(status)
        self._monitor.observe(status, time.monotonic())
        if status.gpu != self._gpu.uuid:
            self._gpu = GpuFaults(status.gpu)

    def _look(self) -> None:
        """End a child that hangs; return the jobs of one that died."""
        status = self._monitor.status
        if status and status.jobs and _has_died(status.pid):
            self._forget()
            self._return_jobs(status)
        elif diagnosis := self._monitor.diagnose(time.monotonic(), self._gpu.next()):
            self._forget()
            self._act_on(diagnosis)

    def _forget(self) -> None:
        self._monitor.forget()
        self.metrics.forget()

    def _act_on(self, diagnosis: Diagnosis) -> None:
        status = diagnosis.status
        if not _kill_child(status.pid):
            return
        job = diagnosis.job
        log.error(
            "child ended",
            reason=diagnosis.reason,
            device=status.device,
            **(job.log_fields | {"stage": job.stage} if job else {}),
        )
        if diagnosis.is_sick and job is None:
            self._write(lambda store: store.quarantine(self._worker, diagnosis.reason))
        for one in status.jobs:
            self._write(partial(self._record, diagnosis, one), one)

    def _return_jobs(self, status: ChildStatus) -> None:
        """End the leases of a dead child's jobs at once; if Redis is away, they expire by
        themselves.
        """
        for job in status.jobs:
            log.error("child died", stage=job.stage, device=status.device, **job.log_fields)
            self._try_to_write(partial(self._end_lease, job), job)

    def _end_lease(self, job: JobStatus, store: WorkerStore) -> None:
        if record := store.get(job.id):
            store.end_lease(Claim(record.model_copy(update={"fence": job.fence})))

    def _write(self, write: Write, job: JobStatus | None = None) -> None:
        """Write what became of a child or of its job, once Redis answers."""
        while not self._try_to_write(write, job):
            if self._ended.wait(LOOK_SECONDS):
                return

    def _try_to_write(self, write: Write, job: JobStatus | None) -> bool:
        """Return whether the attempt's end is written, or no longer this worker's to write."""
        whose = job.log_fields if job else {}
        try:
            write(self._open_store())
        except StaleClaim:
            log.info("another worker has the job already", **whose)
        except RedisError as error:
            log.warning(
                "cannot record the end of an attempt, trying again", error=str(error), **whose
            )
            return False
        return True

    def _record(self, diagnosis: Diagnosis, job: JobStatus, store: WorkerStore) -> None:
        """Write what became of one of an ended child's jobs; only the one to blame bears it."""
        record = store.get(job.id)
        if record is None:
            if job is diagnosis.job and diagnosis.is_sick:
                store.quarantine(self._worker, diagnosis.reason)
            return
        claim = Claim(record.model_copy(update={"fence": job.fence}))
        if job is not diagnosis.job:
            store.give_back(claim)
        elif diagnosis.is_sick:
            store.report_sick(claim, self._worker, diagnosis.status.place, diagnosis.reason)
        else:
            store.fail(claim, DeadlineExceeded.after(self._job_timeout), Timing(), None)
        if record.fence == job.fence:  # otherwise it is another attempt's by now
            trace_lost_attempt(
                record.id,
                record.traceparent,
                record.attempts,
                self._worker,
                record.started_at,
                outcome="ended",
                code=diagnosis.trouble.value,
            )


def _has_died(pid: int) -> bool:
    """Whether a child of this process is dead, reaped by Celery or not yet."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_child(pid: int) -> bool:
    """Kill a child of this process; return False if that id is no longer a child's."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(pid, signal.SIGKILL)
    except (ChildProcessError, ProcessLookupError):
        return False
    return True
