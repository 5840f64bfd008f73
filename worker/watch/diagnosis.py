"""Decide when a child process has to end, from its reports and their times."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.watch.status import ChildStatus


class Trouble(StrEnum):
    """What is wrong with a child."""

    FAULT = "fault"  # the driver reports that the card is broken
    SILENT = "silent"  # the whole process hangs: its heartbeat has stopped
    STALLED = "stalled"  # it sends heartbeats, but the device finishes no step
    OVERDUE = "overdue"  # the attempt should have ended long ago


@dataclass(frozen=True)
class Diagnosis:
    """A child that has to end, and why."""

    status: ChildStatus
    trouble: Trouble
    reason: str

    @property
    def is_sick(self) -> bool:
        """Whether the device is at fault: it failed, or the child hung while using it."""
        hung = self.trouble in (Trouble.SILENT, Trouble.STALLED) and self.status.is_on_device
        return hung or self.trouble is Trouble.FAULT


class ChildMonitor:
    """Keeps the child's last report. Times are seconds of the parent's monotonic clock.

    Args:
        patience: how long a device may compute without progress, and a child be silent.
        longest_attempt: after which an attempt should have ended by itself; time in which it waits
            for the object storage does not count.
    """

    def __init__(self, patience: timedelta, longest_attempt: timedelta) -> None:
        self.status: ChildStatus | None = None
        self._patience = patience.total_seconds()
        self._longest_attempt = longest_attempt.total_seconds()
        self._heard_at = 0.0
        self._advanced_at = 0.0
        self._attempt_began = 0.0

    def observe(self, status: ChildStatus, now: float) -> None:
        """Take a report of the child, or of the one that Celery put in its place."""
        before = self.status
        if before is not None and before.waits_for_storage:
            self._attempt_began += now - self._heard_at
        self.status = status
        self._heard_at = now
        if status != before:
            self._advanced_at = now
        if before is None or status.attempt_id != before.attempt_id:
            self._attempt_began = now

    def forget(self) -> None:
        """Drop the report: the child has ended."""
        self.status = None

    def diagnose(self, now: float, fault: str | None = None) -> Diagnosis | None:
        """Return what is wrong with the child, if anything is.

        Args:
            now: the time.
            fault: what the driver reports about the card.
        """
        status = self.status
        if status is None:
            return None
        if fault:
            return Diagnosis(status, Trouble.FAULT, fault)
        silent = now - self._heard_at
        if silent > self._patience:
            reason = f"the process did not answer for {silent:.0f} s"
            return Diagnosis(status, Trouble.SILENT, reason)
        stalled = now - self._advanced_at
        if status.is_on_device and stalled > self._patience:
            reason = f"the device computed for {stalled:.0f} s without finishing a step"
            return Diagnosis(status, Trouble.STALLED, reason)
        took = now - self._attempt_began
        if status.job and not status.waits_for_storage and took > self._longest_attempt:
            reason = f"the attempt did not end within {took:.0f} s"
            return Diagnosis(status, Trouble.OVERDUE, reason)
        return None
