"""Which of a driver's events speak against a card."""

import pynvml
import pytest

from worker.gpu.faults import GpuFaults, describe_fault


@pytest.mark.parametrize(
    ("event_type", "data", "words"),
    [
        (pynvml.nvmlEventTypeXidCriticalError, 79, "Xid 79"),  # fallen off the bus
        (pynvml.nvmlEventTypeXidCriticalError, 48, "Xid 48"),  # double-bit ECC error
        (pynvml.nvmlEventTypeDoubleBitEccError, 0, "uncorrectable"),
    ],
)
def test_broken_hardware(event_type: int, data: int, words: str) -> None:
    """Told in words that an operator finds again in the driver's log."""
    assert words in (describe_fault(event_type, data) or "")


@pytest.mark.parametrize("xid", [13, 31, 43, 45])
def test_a_programs_own_mistakes_do_not_count(xid: int) -> None:
    """Among them its sudden end, which the watchdog itself brings about."""
    assert describe_fault(pynvml.nvmlEventTypeXidCriticalError, xid) is None


@pytest.mark.parametrize("uuid", ["", "GPU-00000000-0000-0000-0000-000000000000"])
def test_without_a_driver_or_a_card_nothing_is_known(uuid: str) -> None:
    """And nothing fails."""
    assert GpuFaults(uuid).next() is None
