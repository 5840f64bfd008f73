"""Keep the host at most a step ahead of a device that works through a queue of its own."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch


class Event(Protocol):
    """A place in the device's queue."""

    def record(self) -> None:
        """Queue it."""

    def synchronize(self) -> None:
        """Wait until the device reaches it."""


class StepPace:
    """Lets a loop queue a step while the device computes the one before.

    Without it a loop that waits for no result queues all its steps at once, and a run that is
    canceled goes on until the device has computed them. The device never idles for it.

    Args:
        new_event: makes an event of the device; None for one that computes at once.
    """

    def __init__(self, new_event: Callable[[], Event] | None) -> None:
        self._new_event = new_event
        self._last: Event | None = None

    def end_step(self) -> None:
        """Note that a step is queued, and wait until the one before it is computed."""
        if self._new_event is None:
            return
        before, self._last = self._last, self._new_event()
        self._last.record()
        if before is not None:
            before.synchronize()


def pace_on(device: torch.device) -> StepPace:
    """Return the pace for a loop on a device."""
    # A blocking event lets the host sleep, while other threads finish the job before.
    return StepPace(partial(torch.cuda.Event, blocking=True) if device.type == "cuda" else None)
