"""How much memory a worker says it uses."""

from types import SimpleNamespace

import psutil
import pynvml
import pytest

from core.records.worker import MemoryKind, MemoryUse
from worker.gpu.usage import memory_in_use

CARD = "GPU-1"


def test_without_a_card_it_is_the_process_s_own() -> None:
    """As the system counts it, and no total to compare it with."""
    found = memory_in_use("")
    assert found is not None
    assert (found.kind, found.total_bytes) == (MemoryKind.PROCESS, None)
    assert found.used_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)


def test_with_a_card_it_is_the_card_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the driver says; NVML is replaced at its own boundary, the module `pynvml`."""
    asked = []
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", asked.append)
    memory = SimpleNamespace(used=6 * 2**30, total=12 * 2**30)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda _: memory)
    assert memory_in_use(CARD) == MemoryUse(
        kind=MemoryKind.GPU, used_bytes=6 * 2**30, total_bytes=12 * 2**30
    )
    assert asked == [CARD]


def test_driver_that_does_not_answer_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose card is lost goes on reporting."""

    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert memory_in_use(CARD) is None
