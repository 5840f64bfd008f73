"""Define every metric: name, unit, labels, buckets and the process that serves it.

All names are here in full, in base units; a label has a few values known ahead, never an id. Series
of known labels exist from the start at 0: a counter that appears with its first event hides that
event from `increase()`. What belongs to one process only is registered there alone. Jobs, queue and
workers are read from Redis at each scrape by `core.store.queue_metrics` in every dispatcher, so
queries take their `max`. A card is read by `worker.gpu.metrics` in the same way.
"""

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class Scraped(NamedTuple):
    """A metric that a collector fills at each scrape."""

    name: str
    says: str
    labels: tuple[str, ...] = ()

    def gauge(self, value: float | None = None) -> GaugeMetricFamily:
        """Return its family, with its value if it has no labels."""
        return GaugeMetricFamily(self.name, self.says, value=value, labels=self.labels or None)

    def counter(self) -> CounterMetricFamily:
        """Return its family, to which values are added by label."""
        return CounterMetricFamily(self.name, self.says, labels=self.labels)


# What processes of one kind count; `core.telemetry.registries` adds what all kinds do.
GATEWAY, DISPATCHER, WEBHOOKS, WORKER = (CollectorRegistry() for _ in range(4))

# long polls take up to 60 s
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
JOB_BUCKETS = (0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600)
STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
STORAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10)

# Every process
BUILD = Gauge(
    "tooncrafter_build_info", "1; what runs, by its version.", ["version", "process"], registry=None
)
STORAGE_SECONDS = Histogram(
    "tooncrafter_storage_operation_seconds",
    "Time that an operation on the object storage took, whether it succeeded or not.",
    ["operation"],
    buckets=STORAGE_BUCKETS,
    registry=None,
)
STORAGE_ERRORS = Counter(
    "tooncrafter_storage_errors_total",
    "Operations on the object storage that failed.",
    ["operation"],
    registry=None,
)

# Gateway
REQUESTS = Counter(
    "tooncrafter_http_requests_total",
    "Requests that ended, by route template; 499 where the caller went away.",
    ["method", "route", "status"],
    registry=GATEWAY,
)
REQUEST_SECONDS = Histogram(
    "tooncrafter_http_request_seconds",
    "Time from a request's head to the end of its answer, long polls and event streams included.",
    ["method", "route"],
    buckets=REQUEST_BUCKETS,
    registry=GATEWAY,
)
REQUESTS_IN_FLIGHT = Gauge(
    "tooncrafter_http_requests_in_flight",
    "Requests under way, open event streams included.",
    registry=GATEWAY,
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
LEADS = Gauge(
    "tooncrafter_dispatcher_leads",
    "1 while this dispatcher is the one that leads, else 0.",
    registry=DISPATCHER,
)
MESSAGES_SENT = Counter(
    "tooncrafter_messages_sent_total",
    "Messages to workers. `news`: something had changed. `sweep`: sent again, since an earlier one "
    "came to nothing.",
    ["cause"],
    registry=DISPATCHER,
)
LEASES_RECOVERED = Counter(
    "tooncrafter_leases_recovered_total",
    "Jobs whose worker vanished. `requeued`: they wait again. `failed`: it was one time too many.",
    ["outcome"],
    registry=DISPATCHER,
)
STORED_BYTES = Gauge(
    "tooncrafter_stored_bytes",
    "Size of all stored objects, as the last audit of the leading dispatcher counted it.",
    registry=DISPATCHER,
)
REPAIRS = Counter(
    "tooncrafter_audit_repairs_total",
    "Jobs that the audit found missing from a set, or misplaced in one; each tells of a fault.",
    ["repair"],
    registry=DISPATCHER,
)

# Worker: the parent process tells, also while its child computes
MODEL_LOADED = Gauge(
    "tooncrafter_model_loaded",
    "1 while the worker's child holds its model, else 0.",
    registry=WORKER,
)
MODEL_LOAD_SECONDS = Gauge(
    "tooncrafter_model_load_seconds", "Time that the last load took.", registry=WORKER
)
MODEL_PEAK_MEMORY = Gauge(
    "tooncrafter_model_peak_memory_bytes",
    "Most device memory that the last job held.",
    registry=WORKER,
)
WORKER_BUSY = Gauge(
    "tooncrafter_worker_busy", "1 while the worker runs a job, else 0.", registry=WORKER
)
ATTEMPTS = Counter(
    "tooncrafter_attempts_total",
    "Attempts at jobs that ended here. `stale`: it was another worker's by then.",
    ["outcome"],
    registry=WORKER,
)
JOB_QUEUE_SECONDS = Histogram(
    "tooncrafter_job_queue_seconds",
    "From accepted to started.",
    buckets=WAIT_BUCKETS,
    registry=WORKER,
)
JOB_RUN_SECONDS = Histogram(
    "tooncrafter_job_run_seconds",
    "From started to the end of the attempt.",
    buckets=JOB_BUCKETS,
    registry=WORKER,
)
JOB_SECONDS = Histogram(
    "tooncrafter_job_seconds",
    "From accepted to succeeded, end to end.",
    buckets=JOB_BUCKETS,
    registry=WORKER,
)
STAGE_SECONDS = Histogram(
    "tooncrafter_job_stage_seconds",
    "Time of one stage of an attempt.",
    ["stage"],
    buckets=STAGE_BUCKETS,
    registry=WORKER,
)
STEPS = Counter(
    "tooncrafter_denoising_steps_total", "Denoising steps that were computed.", registry=WORKER
)
EMPTY_MESSAGES = Counter(
    "tooncrafter_messages_without_job_total",
    "Messages for which no job waited: they came twice or late, and changed nothing.",
    registry=WORKER,
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
WEBHOOK_ATTEMPTS = Counter(
    "tooncrafter_webhook_attempts_total",
    "Attempts to deliver an event: delivered, retry, failed for good, gone.",
    ["outcome"],
    registry=WEBHOOKS,
)
WEBHOOK_SECONDS = Histogram(
    "tooncrafter_webhook_attempt_seconds",
    "Time until a receiver had answered, or was given up.",
    buckets=(*STORAGE_BUCKETS, 15),
    registry=WEBHOOKS,
)

# Stages of an attempt, in order.
STAGES = ("download", "encode", "denoise", "decode", "export", "upload")
STORAGE_OPERATIONS = ("put", "get", "delete_prefix", "list_page", "ping")
# Values of labels, whose series exist from the start.
KNOWN_VALUES: dict[Counter | Histogram, tuple[str, ...]] = {
    STORAGE_SECONDS: STORAGE_OPERATIONS,
    STORAGE_ERRORS: STORAGE_OPERATIONS,
    MESSAGES_SENT: ("news", "sweep"),
    LEASES_RECOVERED: ("requeued", "failed"),
    REPAIRS: ("missing", "misplaced"),
    ATTEMPTS: ("succeeded", "failed", "canceled", "given_back", "stale", "device_broken"),
    STAGE_SECONDS: STAGES,
    WEBHOOK_ATTEMPTS: ("delivered", "retry", "failed", "gone"),
}
for metric, values in KNOWN_VALUES.items():
    for value in values:
        metric.labels(value)


def values_by_label(counter: Counter) -> dict[str, float]:
    """Return the values of a counter with one label."""
    return {
        next(iter(sample.labels.values())): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def histograms_by_label(histogram: Histogram) -> dict[str, dict[str, float]]:
    """Return a histogram with one label: by its value, each bucket by its bound, and the `sum`.

    Buckets are cumulative, as they are exported.
    """
    found: dict[str, dict[str, float]] = {}
    for family in histogram.collect():
        for sample in family.samples:
            bound = sample.labels.pop("le", None)
            ((_, value),) = sample.labels.items()
            if bound is not None:
                found.setdefault(value, {})[bound] = sample.value
            elif sample.name.endswith("_sum"):
                found[value]["sum"] = sample.value
    return found
