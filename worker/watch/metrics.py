"""The metrics of a worker, kept by its parent process of what the child tells: a scrape never waits
for the model.
"""

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
    STEPS,
    WORKER_BUSY,
)
from worker.watch.status import AttemptEnd, ChildStatus

EMPTY = "empty"  # outcome of a message that found no job
STAGES = ("encode", "denoise", "decode", "export", "upload")
DOWNLOAD = "download"  # what comes before them: the keyframes are fetched from the storage and read


class WorkerMetrics:
    """Turns news of the child into metrics."""

    def __init__(self) -> None:
        self._before: ChildStatus | None = None

    def show(self, status: ChildStatus) -> None:
        """What the child does now, and the steps that it made since it was heard of last."""
        MODEL_LOADED.set(status.model_loaded)
        if status.model_loaded:
            MODEL_LOAD_SECONDS.set(status.load_seconds)
        WORKER_BUSY.set(bool(status.job))
        before, self._before = self._before, status
        same = before is not None and (before.pid, before.job, before.fence) == (
            status.pid,
            status.job,
            status.fence,
        )
        STEPS.inc(max(0, status.step - (before.step if before and same else 0)))

    def forget(self) -> None:
        """The child is gone, and with it its model."""
        self._before = None
        MODEL_LOADED.set(0)
        WORKER_BUSY.set(0)

    def count(self, end: AttemptEnd) -> None:
        """An attempt is over, or a message found no job."""
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
        stages = {stage: end.seconds[f"{stage}_seconds"] for stage in STAGES}
        stages[DOWNLOAD] = timing.run_seconds - sum(stages.values())
        for stage, seconds in stages.items():
            if seconds > 0:
                STAGE_SECONDS.labels(stage).observe(seconds)
