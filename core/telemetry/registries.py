"""Choose what each kind of process exports, with all known series at 0 from the start."""

from importlib.metadata import version
from typing import Literal

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from core.telemetry.metrics import BUILD, DISPATCHER, GATEWAY, STORAGE, WEBHOOKS, WORKER

Process = Literal["gateway", "dispatcher", "webhooks", "worker"]

# A worker's parent also serves its GPU and its children's storage, a dispatcher the queue.
EXPORTED: dict[Process, tuple[Collector, ...]] = {
    "gateway": (GATEWAY, STORAGE),
    "dispatcher": (DISPATCHER, STORAGE),
    "webhooks": (WEBHOOKS,),
    "worker": (WORKER,),
}


def registry_of(process: Process) -> CollectorRegistry:
    """Return what a process of this kind serves."""
    registry = CollectorRegistry()
    BUILD.clear()
    BUILD.labels(version("tooncrafter-service"), process).set(1)
    for collector in (BUILD, *EXPORTED[process]):
        registry.register(collector)
    return registry
