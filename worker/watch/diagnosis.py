"""Decide when a child process has to end, from its reports and their times."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.watch.status import ChildStatus, JobStatus


class Trouble(StrEnum):
    """What is wrong with a child."""

    FAULT = "fault"  # the driver reports that the card is broken
    SILENT = "silent"  # the whole process hangs: its heartbeat has stopped
    STALLED = "stalled"  # it sends heartbeats, but the device finishes no step
    OVERDUE = "overdue"  # the attempt should have ended long ago


@dataclass(frozen=True)
class Diagnosis:
    """A child that has to end, and why.

    Attributes:
        job: that hung on the device or is overdue; None if none of the child's jobs is to blame.
    """

    status: ChildStatus
    trouble: Trouble
    reason: str
    job: JobStatus | None = None

    @property
    def is_sick(self) -> bool:
        """Whether the device is at fault: it failed, or the child hung while using it."""
        hung = self.trouble in (Trouble.SILENT, Trouble.STALLED) and self.job is not None
        return hung or self.trouble is Trouble.FAULT


@dataclass(frozen=True)
class _Watched:
    """An attempt as it was last reported, with times of the parent's clock."""

    job: JobStatus
    began: float
    advanced_at: float


class ChildMonitor:
    """Keeps the child's last report. Times are seconds of the parent's monotonic clock.

    Args:
        patience: how long a device may compute without progress, and a child be silent.
        longest_attempt: after which an attempt should have ended by itself; time in which it is
            paused does not count.
    """

    def __init__(self, patience: timedelta, longest_attempt: timedelta) -> None:
        self.status: ChildStatus | None = None
        self._patience = patience.total_seconds()
        self._longest_attempt = longest_attempt.total_seconds()
        self._heard_at = 0.0
        self._watched: dict[tuple[str, int], _Watched] = {}

    def observe(self, status: ChildStatus, now: float) -> None:
        """Take a report of the child, or of the one that Celery put in its place."""
        if self.status is not None and self.status.pid != status.pid:
            self._watched = {}
        self._watched = {job.attempt_id: self._watch(job, now) for job in status.jobs}
        self.status = status
        self._heard_at = now

    def _watch(self, job: JobStatus, now: float) -> _Watched:
        before = self._watched.get(job.attempt_id)
        if before is None:
            return _Watched(job, began=now, advanced_at=now)
        paused = now - self._heard_at if before.job.is_paused else 0.0
        advanced_at = before.advanced_at if before.job == job else now
        return _Watched(job, before.began + paused, advanced_at)

    def forget(self) -> None:
        """Drop the report: the child has ended."""
        self.status = None
        self._watched = {}

    def diagnose(self, now: float, fault: str | None = None) -> Diagnosis | None:
        """Return what is wrong with the child, if anything is.

        Args:
            now: the time.
            fault: what the driver reports about the card.
        """
        status = self.status
        if status is None:
            return None
        on_device = status.job_on_device
        if fault:
            return Diagnosis(status, Trouble.FAULT, fault, on_device)
        silent = now - self._heard_at
        if silent > self._patience:
            reason = f"the process did not answer for {silent:.0f} s"
            return Diagnosis(status, Trouble.SILENT, reason, on_device)
        for watched in self._watched.values():
            job, stalled, took = watched.job, now - watched.advanced_at, now - watched.began
            if job.is_on_device and stalled > self._patience:
                reason = f"the device computed for {stalled:.0f} s without finishing a step"
                return Diagnosis(status, Trouble.STALLED, reason, job)
            if not job.is_paused and took > self._longest_attempt:
                reason = f"the attempt did not end within {took:.0f} s"
                return Diagnosis(status, Trouble.OVERDUE, reason, job)
        return None
