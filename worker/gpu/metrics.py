"""Export metrics of one NVIDIA card, read through NVML at each scrape.

Without a card there are no series, rather than zeros.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pynvml
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from core.telemetry import metrics

READINGS: list[tuple[metrics.Scraped, Callable[[Any], float]]] = [
    (metrics.GPU_UTILIZATION, lambda card: pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100),
    (metrics.GPU_POWER, lambda card: pynvml.nvmlDeviceGetPowerUsage(card) / 1000),
    (
        metrics.GPU_TEMPERATURE,
        lambda card: pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU),
    ),
]
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
        with suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(card)
            yield metrics.GPU_MEMORY_USED.gauge(memory.used)
            yield metrics.GPU_MEMORY_TOTAL.gauge(memory.total)
        for metric, read in READINGS:
            with suppress(pynvml.NVMLError):  # some cards have no power meter, for one
                yield metric.gauge(read(card))
        with suppress(pynvml.NVMLError):
            found = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(card)
            slowed = {reason: bool(found & bit) for reason, bit in THROTTLE_REASONS.items()}
            yield metrics.GPU_THROTTLED.gauges(slowed)
