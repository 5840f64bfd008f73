"""Detect hardware errors of an NVIDIA card by NVML's events."""

import pynvml
import structlog

# Xid errors that a program or its end causes while the card is fine. NVIDIA's Xid catalogue:
# 13 graphics engine exception, 31 memory page fault, 43 reset channel, 45 preemptive
# cleanup, 68 video processor exception, 109 context switch timeout.
PROGRAM_XIDS = frozenset({13, 31, 43, 45, 68, 109})
WATCHED = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError

log = structlog.get_logger("worker")


class DeviceBroken(Exception):
    """The device computes nothing more in this process; the message says how it broke."""


def describe_fault(event_type: int, data: int) -> str | None:
    """Return an event in words, or None if the card is not at fault.

    Args:
        event_type: one of NVML's `nvmlEventType…`.
        data: the number of an Xid error.
    """
    if event_type == pynvml.nvmlEventTypeDoubleBitEccError:
        return "the card's memory reports an uncorrectable error"
    if event_type == pynvml.nvmlEventTypeXidCriticalError and data not in PROGRAM_XIDS:
        return f"the driver reports Xid {data}"
    return None


class GpuFaults:
    """Events of one card, by its UUID; there are none without a driver that reports this card."""

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self._events: object = None
        if uuid:
            self._register()

    def _register(self) -> None:
        try:
            pynvml.nvmlInit()
            events = pynvml.nvmlEventSetCreate()
            pynvml.nvmlDeviceRegisterEvents(
                pynvml.nvmlDeviceGetHandleByUUID(self.uuid), WATCHED, events
            )
            self._events = events
        except pynvml.NVMLError as error:
            log.info("the driver reports no events of this card", gpu=self.uuid, error=str(error))

    def next(self) -> str | None:
        """Return the next fault in words, without waiting; None if there is none."""
        while self._events is not None:
            try:
                event = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError:  # mostly a timeout: no event
                return None
            if fault := describe_fault(event.eventType, event.eventData):
                return fault
        return None
