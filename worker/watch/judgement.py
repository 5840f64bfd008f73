"""When a child process has to go: a judgement by what its parent heard of it, and when. No clock,
no process.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.watch.facts import Facts


class Trouble(StrEnum):
    """What is the matter with a child."""

    FAULT = "fault"  # the driver says that the card is broken
    SILENT = "silent"  # the process as a whole hangs: not even its heartbeat is heard
    STALLED = "stalled"  # its heartbeat is heard, but the device computes without end
    OVERDUE = "overdue"  # the attempt should have ended long ago


@dataclass(frozen=True)
class Verdict:
    """A child to end, and why."""

    facts: Facts
    trouble: Trouble
    words: str

    @property
    def is_sick(self) -> bool:
        """Whether the device is at fault, as far as one can see: it hung, or whatever hung was
        waiting for it.
        """
        hung = self.trouble in (Trouble.SILENT, Trouble.STALLED) and self.facts.is_on_device
        return hung or self.trouble is Trouble.FAULT


class Judge:
    """Keeps the last news of the child. Times are seconds of the parent's monotonic clock.

    Args:
        patience: how long a device may compute without progress, and a child be silent.
        longest_attempt: after which one should have ended by itself.
    """

    def __init__(self, patience: timedelta, longest_attempt: timedelta) -> None:
        self.facts: Facts | None = None
        self._patience = patience.total_seconds()
        self._longest_attempt = longest_attempt.total_seconds()
        self._heard = self._advanced = self._began = 0.0

    def hear(self, facts: Facts, now: float) -> None:
        """News of the child; of another one than before, where Celery replaced it."""
        before, self.facts, self._heard = self.facts, facts, now
        if facts != before:
            self._advanced = now
        if before is None or (facts.pid, facts.job, facts.fence) != (
            before.pid,
            before.job,
            before.fence,
        ):
            self._began = now

    def forget(self) -> None:
        """The child is gone."""
        self.facts = None

    def verdict(self, now: float, fault: str | None = None) -> Verdict | None:
        """What is wrong with the child, if anything is.

        Args:
            now: the time.
            fault: what the driver says of the card.
        """
        facts = self.facts
        if facts is None:
            return None
        if fault:
            return Verdict(facts, Trouble.FAULT, fault)
        if (silent := now - self._heard) > self._patience:
            return Verdict(facts, Trouble.SILENT, f"the process did not answer for {silent:.0f} s")
        if facts.is_on_device and (stalled := now - self._advanced) > self._patience:
            return Verdict(
                facts,
                Trouble.STALLED,
                f"the device computed for {stalled:.0f} s without finishing a step",
            )
        if facts.job and (took := now - self._began) > self._longest_attempt:
            return Verdict(facts, Trouble.OVERDUE, f"the attempt did not end within {took:.0f} s")
        return None
