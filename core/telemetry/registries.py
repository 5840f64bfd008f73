"""Choose what each process exports, with all known series at 0 from the start."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from core.telemetry.metrics import (
    ATTEMPTS,
    BUILD,
    EMPTY_MESSAGES,
    JOB_QUEUE_SECONDS,
    JOB_RUN_SECONDS,
    JOB_SECONDS,
    LEADS,
    LEASES_RECOVERED,
    MESSAGES_SENT,
    MODEL_LOAD_SECONDS,
    MODEL_LOADED,
    MODEL_PEAK_MEMORY,
    REPAIRS,
    REQUEST_SECONDS,
    REQUESTS,
    REQUESTS_IN_FLIGHT,
    STAGE_SECONDS,
    STAGES,
    STEPS,
    STORAGE_ERRORS,
    STORAGE_SECONDS,
    STORED_BYTES,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_SECONDS,
    WORKER_BUSY,
)

# Values of labels, for the series that exist from the start.
STORAGE_OPERATIONS = ("put", "get", "delete_prefix", "list_page", "ping")
ATTEMPT_OUTCOMES = ("succeeded", "failed", "canceled", "given_back", "stale", "device_broken")
MESSAGE_CAUSES = ("news", "sweep")
RECOVERY_OUTCOMES = ("requeued", "failed")
REPAIRS_OF_JOBS = ("missing", "misplaced")
DELIVERY_OUTCOMES = ("delivered", "retry", "failed", "gone")


def gateway_registry() -> CollectorRegistry:
    """Return what a gateway serves."""
    _start_at_zero(STORAGE_ERRORS, STORAGE_OPERATIONS)
    return _registry(
        "gateway", REQUESTS, REQUEST_SECONDS, REQUESTS_IN_FLIGHT, STORAGE_SECONDS, STORAGE_ERRORS
    )


def dispatcher_registry() -> CollectorRegistry:
    """Return what a dispatcher serves, beside the queue."""
    _start_at_zero(MESSAGES_SENT, MESSAGE_CAUSES)
    _start_at_zero(LEASES_RECOVERED, RECOVERY_OUTCOMES)
    _start_at_zero(REPAIRS, REPAIRS_OF_JOBS)
    _start_at_zero(STORAGE_ERRORS, STORAGE_OPERATIONS)
    return _registry(
        "dispatcher",
        LEADS,
        MESSAGES_SENT,
        LEASES_RECOVERED,
        REPAIRS,
        STORED_BYTES,
        STORAGE_SECONDS,
        STORAGE_ERRORS,
    )


def webhooks_registry() -> CollectorRegistry:
    """Return what a webhook deliverer serves."""
    _start_at_zero(WEBHOOK_ATTEMPTS, DELIVERY_OUTCOMES)
    return _registry("webhooks", WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS)


def worker_registry() -> CollectorRegistry:
    """Return what a worker's parent serves, beside its GPU and its child's times of storage."""
    _start_at_zero(ATTEMPTS, ATTEMPT_OUTCOMES)
    _start_at_zero(STAGE_SECONDS, STAGES)
    _start_at_zero(STORAGE_SECONDS, STORAGE_OPERATIONS)
    _start_at_zero(STORAGE_ERRORS, STORAGE_OPERATIONS)
    return _registry(
        "worker",
        MODEL_LOADED,
        MODEL_LOAD_SECONDS,
        MODEL_PEAK_MEMORY,
        WORKER_BUSY,
        ATTEMPTS,
        JOB_QUEUE_SECONDS,
        JOB_RUN_SECONDS,
        JOB_SECONDS,
        STAGE_SECONDS,
        STEPS,
        EMPTY_MESSAGES,
        STORAGE_ERRORS,
    )


def _start_at_zero(metric: Counter | Histogram, values: tuple[str, ...]) -> None:
    for value in values:
        metric.labels(value)


def _registry(process: str, *metrics: MetricWrapperBase) -> CollectorRegistry:
    registry = CollectorRegistry()
    BUILD.clear()
    BUILD.labels(version("tooncrafter-service"), process).set(1)
    for metric in (BUILD, *metrics):
        registry.register(metric)
    return registry
