"""Export metrics of one NVIDIA card, read through NVML at each scrape.

Without a card there are no series, rather than zeros.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pynvml
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from core.telemetry import metrics

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
        uuid: tells which, once the child has told; empty before, and where it computes on no NVIDIA
            card.
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
            yield metrics.GPU_MEMORY_USED.gauge(memory.used)
            yield metrics.GPU_MEMORY_TOTAL.gauge(memory.total)
        rates = _asked(lambda: pynvml.nvmlDeviceGetUtilizationRates(card))
        if rates:
            yield metrics.GPU_UTILIZATION.gauge(rates.gpu / 100)
        milliwatts = _asked(lambda: pynvml.nvmlDeviceGetPowerUsage(card))
        if milliwatts is not None:
            yield metrics.GPU_POWER.gauge(milliwatts / 1000)
        celsius = _asked(lambda: pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU))
        if celsius is not None:
            yield metrics.GPU_TEMPERATURE.gauge(celsius)
        reasons = _asked(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(card))
        if reasons is not None:
            yield _throttled(reasons)


def _throttled(reasons: int) -> Metric:
    family = metrics.GPU_THROTTLED.gauge()
    for reason, bit in THROTTLE_REASONS.items():
        family.add_metric([reason], bool(reasons & bit))
    return family


def _asked(question: Callable[[], Answer]) -> Answer | None:
    """The driver's answer; None where this card has none, as some have no fan and others no power
    meter.
    """
    try:
        return question()
    except pynvml.NVMLError:
        return None
