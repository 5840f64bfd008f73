"""Keep a worker's metrics in its parent, so that scrapes never wait for the model."""

from core.records.job import Timing
from core.telemetry.metrics import (
    ATTEMPTS,
    EMPTY_MESSAGES,
    JOB_QUEUE_SECONDS,
    JOB_RUN_SECONDS,
    JOB_SECONDS,
    MODEL_LOAD_SECONDS,
    MODEL_LOADED,
    MODEL_PEAK_MEMORY,
    STAGE_SECONDS,
    STAGES,
    STEPS,
    WORKER_BUSY,
)
from worker.watch.status import AttemptEnd, ChildStatus
from worker.watch.storage_metrics import StorageMetrics

EMPTY = "empty"  # outcome of a message that found no job
DOWNLOAD = STAGES[0]  # the time before the others: keyframes are fetched and decoded


class WorkerMetrics:
    """Turns the child's reports into metrics.

    Attributes:
        storage: to be registered beside the others.
    """

    def __init__(self) -> None:
        self.storage = StorageMetrics()
        self._before: ChildStatus | None = None

    def show(self, status: ChildStatus) -> None:
        """Show what the child does, and count what it did since its last report."""
        self.storage.observe(status.pid, status.storage_counts)
        MODEL_LOADED.set(status.model_loaded)
        if status.model_loaded:
            MODEL_LOAD_SECONDS.set(status.load_seconds)
        WORKER_BUSY.set(bool(status.jobs))
        before = self._before
        self._before = status
        known = before.jobs if before and before.pid == status.pid else ()
        steps = {job.attempt_id: job.step for job in known}
        for job in status.jobs:
            STEPS.inc(max(0, job.step - steps.get(job.attempt_id, 0)))

    def forget(self) -> None:
        """Show that the child has ended."""
        self._before = None
        MODEL_LOADED.set(0)
        WORKER_BUSY.set(0)

    def count(self, end: AttemptEnd) -> None:
        """Count the end of an attempt, or a message that found no job."""
        if end.outcome == EMPTY:
            EMPTY_MESSAGES.inc()
            return
        ATTEMPTS.labels(end.outcome).inc()
        if end.peak_memory_bytes:
            MODEL_PEAK_MEMORY.set(end.peak_memory_bytes)
        if not end.seconds:
            return
        timing = Timing.model_validate(end.seconds)
        JOB_QUEUE_SECONDS.observe(timing.queued_seconds)
        JOB_RUN_SECONDS.observe(timing.run_seconds)
        if end.outcome == "succeeded":
            JOB_SECONDS.observe(timing.queued_seconds + timing.run_seconds)
        stages = {stage: end.seconds[f"{stage}_seconds"] for stage in STAGES[1:]}
        stages[DOWNLOAD] = timing.run_seconds - sum(stages.values())
        for stage, seconds in stages.items():
            if seconds > 0:
                STAGE_SECONDS.labels(stage).observe(seconds)
