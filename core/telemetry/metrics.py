"""Define every metric: name, unit, labels, buckets and the process that serves it.

All names are here in full, in base units; a label has a few values known ahead, never an id. Series
of known labels exist from the start at 0: a counter that appears with its first event hides that
event from `increase()`. What belongs to one process only is registered there alone. Jobs, queue and
workers are read from Redis at each scrape by `core.store.queue_metrics` in every dispatcher, so
queries take their `max`. A card is read by `worker.gpu.metrics` in the same way.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.samples import Sample

Labelled = TypeVar("Labelled", Counter, Histogram)


class ProcessMetrics(CollectorRegistry):
    """What processes of one kind count; a label comes with the values that are known ahead."""

    def counter(self, name: str, says: str, **labels: Sequence[str]) -> Counter:
        """Define a counter."""
        return _with_series(Counter(name, says, list(labels), registry=self), labels)

    def gauge(self, name: str, says: str) -> Gauge:
        """Define a gauge without labels."""
        return Gauge(name, says, registry=self)

    def histogram(
        self, name: str, says: str, buckets: Sequence[float], **labels: Sequence[str]
    ) -> Histogram:
        """Define a histogram."""
        histogram = Histogram(name, says, list(labels), buckets=buckets, registry=self)
        return _with_series(histogram, labels)


def _with_series(metric: Labelled, labels: Mapping[str, Sequence[str]]) -> Labelled:
    """Return a metric once all series of its known labels exist."""
    for values in product(*labels.values()) if labels else ():
        metric.labels(*values)
    return metric


class Scraped(NamedTuple):
    """A metric that a collector fills at each scrape."""

    name: str
    says: str
    labels: tuple[str, ...] = ()

    def gauge(self, value: float) -> Metric:
        """Return its family with the value."""
        return GaugeMetricFamily(self.name, self.says, value=value)

    def gauges(self, values: Mapping[str, float]) -> Metric:
        """Return its family with a value for each value of its label."""
        family = GaugeMetricFamily(self.name, self.says, labels=self.labels)
        for label, value in values.items():
            family.add_metric([label], value)
        return family

    def counter(self) -> CounterMetricFamily:
        """Return its family, to which values are added by label."""
        return CounterMetricFamily(self.name, self.says, labels=self.labels)


GATEWAY, DISPATCHER, WEBHOOKS, WORKER = (ProcessMetrics() for _ in range(4))
STORAGE = ProcessMetrics()  # of every process that uses the object storage

# long polls take up to 60 s
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
JOB_BUCKETS = (0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600)
STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
STORAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

STAGES = ("download", "encode", "denoise", "decode", "export", "upload")  # of an attempt, in order
STORAGE_OPERATIONS = ("put", "get", "delete_prefix", "list_page", "ping")

# Every process
BUILD = Gauge(
    "tooncrafter_build_info", "1; what runs, by its version.", ["version", "process"], registry=None
)
STORAGE_SECONDS = STORAGE.histogram(
    "tooncrafter_storage_operation_seconds",
    "Time that an operation on the object storage took, whether it succeeded or not.",
    STORAGE_BUCKETS,
    operation=STORAGE_OPERATIONS,
)
STORAGE_ERRORS = STORAGE.counter(
    "tooncrafter_storage_errors_total",
    "Operations on the object storage that failed.",
    operation=STORAGE_OPERATIONS,
)

# Gateway
REQUESTS = GATEWAY.counter(
    "tooncrafter_http_requests_total",
    "Requests that ended, by route template; 499 where the caller went away.",
    method=(),
    route=(),
    status=(),
)
REQUEST_SECONDS = GATEWAY.histogram(
    "tooncrafter_http_request_seconds",
    "Time from a request's head to the end of its answer, long polls and event streams included.",
    REQUEST_BUCKETS,
    method=(),
    route=(),
)
REQUESTS_IN_FLIGHT = GATEWAY.gauge(
    "tooncrafter_http_requests_in_flight", "Requests under way, open event streams included."
)

# Dispatcher: what Redis knows, read by `core.store.queue_metrics`
REDIS_UP = Scraped("tooncrafter_redis_up", "1 if Redis answers, else 0.")
REDIS_DURABLE = Scraped(
    "tooncrafter_redis_durable",
    "1 if Redis is set to keep what it was told, else 0; the log says what is wrong.",
)
REDIS_MEMORY = Scraped("tooncrafter_redis_memory_bytes", "Memory that Redis uses.")
REDIS_MEMORY_LIMIT = Scraped(
    "tooncrafter_redis_memory_limit_bytes",
    "Memory that Redis may use: its `maxmemory`, else all of its machine.",
)
QUEUE_LIMIT = Scraped(
    "tooncrafter_queue_limit_jobs", "Jobs that may wait; further ones are refused with 503."
)
READY_JOBS = Scraped("tooncrafter_queue_ready_jobs", "Jobs that wait for a worker.", ("priority",))
OLDEST_AGE = Scraped(
    "tooncrafter_queue_oldest_age_seconds",
    "How long the job that waits longest has waited since it was accepted; 0 where none waits.",
    ("priority",),
)
RUNNING_JOBS = Scraped("tooncrafter_queue_running_jobs", "Jobs that a worker holds.")
JOBS_BY_ENGINE = Scraped(
    "tooncrafter_queue_engine_jobs", "Jobs that wait or run, by the engine they need.", ("engine",)
)
EXPIRED_LEASES = Scraped(
    "tooncrafter_queue_expired_leases",
    "Running jobs whose worker was not heard of in time; the next sweep takes them back.",
)
QUEUE_PAUSED = Scraped("tooncrafter_queue_paused", "1 while an operator keeps the queue still.")
WORKERS_BY_STATE = Scraped("tooncrafter_workers", "Live workers by what they do.", ("state",))
JOBS_ACCEPTED = Scraped(
    "tooncrafter_jobs_accepted_total", "Jobs that were accepted.", ("priority",)
)
JOBS_ENDED = Scraped(
    "tooncrafter_jobs_ended_total",
    "Jobs that ended; `code` says why one failed.",
    ("status", "code"),
)
WEBHOOK_EVENTS = Scraped(
    "tooncrafter_webhook_events",
    "Events to deliver. `waiting`: until their next attempt. `due`: now, if somebody did. "
    "`in_flight`: under way.",
    ("state",),
)
WEBHOOK_OLDEST_DUE = Scraped(
    "tooncrafter_webhook_oldest_due_seconds",
    "For how long the oldest event has been due; 0 where none is.",
)

# Dispatcher: what it does itself
LEADS = DISPATCHER.gauge(
    "tooncrafter_dispatcher_leads", "1 while this dispatcher is the one that leads, else 0."
)
MESSAGES_SENT = DISPATCHER.counter(
    "tooncrafter_messages_sent_total",
    "Messages to workers. `news`: something had changed. `sweep`: sent again, since an earlier one "
    "came to nothing.",
    cause=("news", "sweep"),
)
LEASES_RECOVERED = DISPATCHER.counter(
    "tooncrafter_leases_recovered_total",
    "Jobs whose worker vanished. `requeued`: they wait again. `failed`: it was one time too many.",
    outcome=("requeued", "failed"),
)
STORED_BYTES = DISPATCHER.gauge(
    "tooncrafter_stored_bytes",
    "Size of all stored objects, as the last audit of the leading dispatcher counted it.",
)
REPAIRS = DISPATCHER.counter(
    "tooncrafter_audit_repairs_total",
    "Jobs that the audit found missing from a set, or misplaced in one; each tells of a fault.",
    repair=("missing", "misplaced"),
)

# Worker: the parent process tells, also while its child computes
MODEL_LOADED = WORKER.gauge(
    "tooncrafter_model_loaded", "1 while the worker's child holds its model, else 0."
)
MODEL_LOAD_SECONDS = WORKER.gauge("tooncrafter_model_load_seconds", "Time that the last load took.")
MODEL_PEAK_MEMORY = WORKER.gauge(
    "tooncrafter_model_peak_memory_bytes", "Most device memory that the last job held."
)
WORKER_BUSY = WORKER.gauge("tooncrafter_worker_busy", "1 while the worker runs a job, else 0.")
ATTEMPTS = WORKER.counter(
    "tooncrafter_attempts_total",
    "Attempts at jobs that ended here. `stale`: it was another worker's by then.",
    outcome=("succeeded", "failed", "canceled", "given_back", "stale", "device_broken"),
)
JOB_QUEUE_SECONDS = WORKER.histogram(
    "tooncrafter_job_queue_seconds", "From accepted to started.", WAIT_BUCKETS
)
JOB_RUN_SECONDS = WORKER.histogram(
    "tooncrafter_job_run_seconds", "From started to the end of the attempt.", JOB_BUCKETS
)
JOB_SECONDS = WORKER.histogram(
    "tooncrafter_job_seconds", "From accepted to succeeded, end to end.", JOB_BUCKETS
)
STAGE_SECONDS = WORKER.histogram(
    "tooncrafter_job_stage_seconds", "Time of one stage of an attempt.", STAGE_BUCKETS, stage=STAGES
)
STEPS = WORKER.counter("tooncrafter_denoising_steps_total", "Denoising steps that were computed.")
EMPTY_MESSAGES = WORKER.counter(
    "tooncrafter_messages_without_job_total",
    "Messages for which no job waited: they came twice or late, and changed nothing.",
)

# Worker: its card, asked by `worker.gpu.metrics`
GPU_MEMORY_USED = Scraped(
    "tooncrafter_gpu_memory_used_bytes", "Memory of the card in use, by whomever."
)
GPU_MEMORY_TOTAL = Scraped("tooncrafter_gpu_memory_total_bytes", "Memory of the card.")
GPU_UTILIZATION = Scraped(
    "tooncrafter_gpu_utilization_ratio",
    "Share of the last moment in which the card computed, 0 to 1.",
)
GPU_POWER = Scraped("tooncrafter_gpu_power_watts", "What the card draws.")
GPU_TEMPERATURE = Scraped("tooncrafter_gpu_temperature_celsius", "Temperature of the card.")
GPU_THROTTLED = Scraped(
    "tooncrafter_gpu_throttled",
    "1 while the card is slowed down for this reason, else 0.",
    ("reason",),
)

# Webhook deliverer
WEBHOOK_ATTEMPTS = WEBHOOKS.counter(
    "tooncrafter_webhook_attempts_total",
    "Attempts to deliver an event: delivered, retry, failed for good, gone.",
    outcome=("delivered", "retry", "failed", "gone"),
)
WEBHOOK_SECONDS = WEBHOOKS.histogram(
    "tooncrafter_webhook_attempt_seconds",
    "Time until a receiver had answered, or was given up.",
    (*STORAGE_BUCKETS, 15),
)


def counted(family: Metric) -> list[Sample]:
    """Return a family's samples that only grow: all but the time at which each series began."""
    return [sample for sample in family.samples if not sample.name.endswith("_created")]


def storage_counts() -> list[float]:
    """Return all that this process counted of its object storage, in an order of all processes."""
    return [sample.value for family in STORAGE.collect() for sample in counted(family)]
