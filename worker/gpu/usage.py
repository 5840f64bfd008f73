"""Measure the memory that a worker has in use."""

import os
from pathlib import Path

import pynvml

from core.records.worker import MemoryKind, MemoryUse

STATM = Path("/proc/self/statm")  # pages of this process; the second number are those in memory


def memory_in_use(gpu: str) -> MemoryUse | None:
    """Return the memory in use on a card by all processes, or by this process without one.

    Args:
        gpu: UUID of an NVIDIA card, '' without one.

    Returns:
        None where neither the driver nor the system says it.
    """
    return _of_card(gpu) if gpu else _of_process()


def _of_card(gpu: str) -> MemoryUse | None:
    try:
        pynvml.nvmlInit()
        memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByUUID(gpu))
    except pynvml.NVMLError:
        return None
    return MemoryUse(kind=MemoryKind.GPU, used_bytes=memory.used, total_bytes=memory.total)


def _of_process() -> MemoryUse | None:
    try:
        pages = int(STATM.read_text().split()[1])
    except OSError:  # no Linux
        return None
    used = pages * os.sysconf("SC_PAGE_SIZE")
    return MemoryUse(kind=MemoryKind.PROCESS, used_bytes=used)
