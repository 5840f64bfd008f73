"""The parent's eye on its child: a thread that ends a child which hangs, and says in Redis what
becomes of its job.

A child that hangs cannot do this itself: its heartbeat either stands still too, or beats on beside
a kernel that never ends. The parent computes nothing, so it always answers; it also holds the facts
of its worker for whoever asks.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import DeadlineExceeded, StaleClaim
from core.records.job import Timing
from core.store.roles.worker import Claim, JobStore
from core.telemetry.lost_attempts import trace_lost_attempt
from worker.gpu.faults import GpuFaults
from worker.watch.facts import AttemptEnd, Facts, FactsReceiver
from worker.watch.judgement import Judge, Trouble, Verdict
from worker.watch.metrics import WorkerMetrics

LOOK_SECONDS = 1.0

log = structlog.get_logger("worker")


class Watchdog:
    """Listens to the child and acts on verdicts.

    Args:
        open_store: called in the thread, once Redis is needed.
        worker: name of this worker.
        judge: decides when.
        job_timeout: what an attempt that is overdue is told.
    """

    def __init__(
        self, open_store: Callable[[], JobStore], worker: str, judge: Judge, job_timeout: timedelta
    ) -> None:
        self._open_store = open_store
        self._worker = worker
        self._job_timeout = job_timeout
        self._judge = judge
        self._gpu = GpuFaults("")
        self._metrics = WorkerMetrics()
        self._receiver = FactsReceiver()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @property
    def facts(self) -> Facts | None:
        """What the child told last; None before its first word and after its end."""
        return self._judge.facts

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._thread.join(timeout=LOOK_SECONDS * 2)
        self._receiver.close()

    def _watch(self) -> None:
        while not self._ended.is_set():
            for news in self._receiver.receive(LOOK_SECONDS):
                if isinstance(news, AttemptEnd):
                    self._metrics.count(news)
                    continue
                self._metrics.show(news)
                self._judge.hear(news, time.monotonic())
                if news.gpu != self._gpu.uuid:
                    self._gpu = GpuFaults(news.gpu)
            if (facts := self._judge.facts) and facts.job and _has_died(facts.pid):
                self._judge.forget()
                self._metrics.forget()
                self._mourn(facts)
            elif verdict := self._judge.verdict(time.monotonic(), self._gpu.next()):
                self._judge.forget()
                self._metrics.forget()
                self._act(verdict)

    def _act(self, verdict: Verdict) -> None:
        facts = verdict.facts
        if not _kill_child(facts.pid):
            return
        log.error(
            "child ended",
            reason=verdict.words,
            stage=facts.stage,
            device=facts.device,
            **facts.whose,
        )
        while not self._try_to_write(facts, lambda: self._write(verdict)) and not self._ended.wait(
            LOOK_SECONDS
        ):
            pass

    def _mourn(self, facts: Facts) -> None:
        """A child died with a job: its lease need not run out first. If this is not told, it
        does.
        """
        log.error("child died", stage=facts.stage, device=facts.device, **facts.whose)
        self._try_to_write(facts, lambda: self._end_lease(facts))

    def _end_lease(self, facts: Facts) -> None:
        store = self._open_store()
        if job := store.get(facts.job):
            store.end_lease(Claim(job.model_copy(update={"fence": facts.fence})))

    def _try_to_write(self, facts: Facts, write: Callable[[], None]) -> bool:
        """Whether what became of the attempt is written, or is no longer this worker's to write."""
        try:
            write()
        except StaleClaim:
            log.info("the job was another worker's already", **facts.whose)
        except RedisError as error:
            log.warning(
                "cannot say what became of the job, trying again", error=str(error), **facts.whose
            )
            return False
        return True

    def _write(self, verdict: Verdict) -> None:
        store, facts = self._open_store(), verdict.facts
        job = store.get(facts.job) if facts.job else None
        if job is None:
            if verdict.is_sick:
                store.quarantine(self._worker, verdict.words)
            return
        claim = Claim(job.model_copy(update={"fence": facts.fence}))
        if verdict.is_sick:
            store.report_sick(claim, self._worker, facts.place, verdict.words)
        elif verdict.trouble is Trouble.OVERDUE:
            store.fail(claim, DeadlineExceeded.after(self._job_timeout), Timing(), None)
        else:
            store.give_back(claim)
        if job.fence == facts.fence:  # else it is another attempt's by now
            begun, code = job.started_at, verdict.trouble.value
            trace_lost_attempt(
                job.id,
                job.traceparent,
                job.attempts,
                self._worker,
                begun,
                outcome="ended",
                code=code,
            )


def _has_died(pid: int) -> bool:
    """Whether a child of this process is dead, buried by Celery or not yet."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_child(pid: int) -> bool:
    """Whether there was a child of this process with that id; Celery may have replaced it, and
    others bear the id.
    """
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(pid, signal.SIGKILL)
    except (ChildProcessError, ProcessLookupError):
        return False
    return True
