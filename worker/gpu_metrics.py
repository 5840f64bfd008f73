"""One NVIDIA card, asked through NVML at each scrape; nothing at all where there is none, rather than zeros."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pynvml
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Answer = TypeVar("Answer")

# Bits of nvmlDeviceGetCurrentClocksEventReasons that slow a card down against its user's will.
THROTTLE_REASONS = {
    "power_cap": pynvml.nvmlClocksThrottleReasonSwPowerCap,
    "thermal": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
    "hardware_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
    "hardware_thermal": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
    "hardware_power_brake": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
}


class GpuMetrics(Collector):
    """The card that this worker's child computes on.

    Args:
        uuid: tells which, once the child has told; empty before, and where it computes on no NVIDIA card.
    """

    def __init__(self, uuid: Callable[[], str]) -> None:
        self._uuid = uuid

    def describe(self) -> list[Metric]:
        """Nothing, so that registering this asks no driver."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What the driver tells; each part that it does not is absent."""
        uuid = self._uuid()
        if not uuid:
            return
        try:
            pynvml.nvmlInit()
            card = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError:
            return
        memory = _asked(lambda: pynvml.nvmlDeviceGetMemoryInfo(card))
        if memory:
            yield _gauge("tooncrafter_gpu_memory_used_bytes", "Memory of the card in use, by whomever.", memory.used)
            yield _gauge("tooncrafter_gpu_memory_total_bytes", "Memory of the card.", memory.total)
        rates = _asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(card))
        if rates:
            words = "Share of the last moment in which the card computed, 0 to 1."
            yield _gauge("tooncrafter_gpu_utilization_ratio", words, rates.gpu / 100)
        milliwatts = _asked(lambda: pynvml.nvmlDeviceGetPowerUsage(card))
        if milliwatts is not None:
            yield _gauge("tooncrafter_gpu_power_watts", "What the card draws.", milliwatts / 1000)
        celsius = _asked(lambda: pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU))
        if celsius is not None:
            yield _gauge("tooncrafter_gpu_temperature_celsius", "Temperature of the card.", celsius)
        reasons = _asked(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(card))
        if reasons is not None:
            yield _throttled(reasons)


def _throttled(reasons: int) -> Metric:
    family = GaugeMetricFamily(
        "tooncrafter_gpu_throttled", "1 while the card is slowed down for this reason, else 0.", labels=["reason"]
    )
    for reason, bit in THROTTLE_REASONS.items():
        family.add_metric([reason], bool(reasons & bit))
    return family


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _asked(question: Callable[[], Answer]) -> Answer | None:
    """The driver's answer; None where this card has none, as some have no fan and others no power meter."""
    try:
        return question()
    except pynvml.NVMLError:
        return None
