"""Start and end a worker's two processes: the parent that watches, the child that computes.

Celery calls what is bound to its signals in `worker.celery`, with details that nothing here needs.
"""

import logging
import os
import signal
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import structlog
from redis.exceptions import RedisError

from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from core.objects.storage import open_storage
from core.settings import Settings
from core.store.check import check_redis_in_background
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from core.telemetry.registries import registry_of
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing
from worker.gpu.cpu import hold_freed_memory, prepare_openmp
from worker.gpu.metrics import GpuMetrics
from worker.model_setting import refuse_to_start_without_model
from worker.watch.diagnosis import ChildMonitor
from worker.watch.heartbeat import Heartbeat
from worker.watch.watchdog import Watchdog

if TYPE_CHECKING:
    from worker.jobs.runner import Runner

# The child checks its deadline at each step; the parent acts only if a step takes this long.
OVERTIME = timedelta(seconds=60)

log = structlog.get_logger("worker")

_runner: "Runner | None" = None
_watchdog: Watchdog | None = None


def worker_name(parent_pid: int) -> str:
    """Return the name that parent and child share: host and the parent's process id."""
    return f"{socket.gethostname()}:{parent_pid}"


# The child


def runner() -> "Runner":
    """Return the runner of this child process."""
    if _runner is None:
        raise RuntimeError(
            "the model is not loaded: tasks run in a child of `celery worker --pool=prefork`"
        )
    return _runner


def start_child(**_: object) -> None:
    """Load the model into this child process, which keeps it until it ends.

    A child that cannot load also ends its worker: Celery would start one child after the other and
    never run a job.
    """
    global _runner  # Celery gives a child no other place to keep what it owns
    settings = Settings()
    prepare_openmp(settings.threads)
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "worker")
    try:
        _runner = build_runner(settings, worker_name(os.getppid()))
    except Exception:
        log.exception("the model cannot be loaded, the worker ends")
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)


def build_runner(settings: Settings, worker: str) -> "Runner":
    """Load the model, register the worker, and return what runs its jobs."""
    # The parent imports no torch, which takes half a gigabyte.
    from worker.engines.loading import HalfwayDrawer, load_engine, offer_of
    from worker.gpu.canvas_memory import plan_memory
    from worker.gpu.device import choose_device, gpu_uuid, require_working_device
    from worker.jobs.rendering import ShotRenderer
    from worker.jobs.runner import Limits, Runner

    # 1. Report that this worker is loading
    device = choose_device(settings.device)
    plan = plan_memory(settings, device)
    offer = offer_of(settings.model or "", settings.adapters)
    offer = offer.model_copy(update={"memory": plan.stages})
    largest = settings.max_canvas_pixels or plan.max_canvas_pixels
    store = WorkerStore(settings.find_redis(), offer=offer)
    storage = open_storage(settings)
    storage.ping()
    if device == "cpu":
        hold_freed_memory()
    about = {"host": socket.gethostname(), "max_canvas_pixels": str(largest or "")}
    heartbeat = Heartbeat(store, worker, device, about)
    heartbeat.start()
    require_working_device(device)

    # 2. Load the model and place it
    begun = time.monotonic()
    engine, model, adapters = load_engine(settings, device)
    load_seconds = time.monotonic() - begun

    # 3. Report that it is ready
    heartbeat.ready(model, load_seconds, gpu_uuid(device), adapters)
    log.info(
        "model loaded",
        **model.model_dump(exclude={"peak_memory_bytes"}),
        seconds=round(load_seconds, 2),
    )
    limits = Limits(largest, settings.job_timeout, int(settings.segment_quota))
    decoders = Decoders(DecoderLimits.from_settings(settings))
    renderer = ShotRenderer(engine, storage, decoders, HalfwayDrawer(device))
    models = (model, *adapters)
    return Runner(store, storage, heartbeat, renderer, models, load_seconds, limits)


def leave_broken_child() -> NoReturn:
    """End this process, whose device computes nothing more.

    Celery starts another child, which claims no job while its worker is quarantined.
    """
    end_tracing()
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)


def end_child(**_: object) -> None:
    """End this child in order."""
    if _runner is not None:
        _runner.heartbeat.end()
    end_tracing()


# The parent


def start_parent(**_: object) -> None:
    """Check the settings and watch over the child; called in the parent before it has one."""
    global _watchdog  # as `_runner`, in the other process
    refuse_to_start_without_model()
    settings = Settings()
    # Celery's own call comes only after the first log lines.
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "worker")
    worker, redis_url = worker_name(os.getpid()), settings.find_redis()
    check_redis_in_background(redis_url)
    # Containers reuse host name and pid; clear what Redis holds for the previous worker of this
    # name.
    _dismiss(worker)
    monitor = ChildMonitor(settings.watchdog_timeout, settings.job_timeout + OVERTIME)
    _watchdog = Watchdog(lambda: WorkerStore(redis_url), worker, monitor, settings.job_timeout)
    registry = registry_of("worker")
    registry.register(_watchdog.metrics.storage)
    registry.register(GpuMetrics(lambda: monitor.status.gpu if monitor.status else ""))
    serve_metrics(
        settings,
        registry,
        is_ready=lambda: bool(monitor.status and monitor.status.is_ready),
    )
    _watchdog.start()


def ask_child_to_stop(**_: object) -> None:
    """Let the child end its job within the grace or give it back; Celery waits for it."""
    settings = Settings()
    try:
        WorkerStore(settings.find_redis()).ask_to_stop(
            worker_name(os.getpid()), settings.shutdown_grace
        )
    except (RedisError, RuntimeError) as error:
        log.warning("cannot tell the child to stop, its job will end first", error=str(error))


def end_parent(**_: object) -> None:
    """End this process in order, after its child."""
    if _watchdog is not None:
        _watchdog.end()
    end_tracing()
    _dismiss(worker_name(os.getpid()))


def _dismiss(worker: str) -> None:
    try:
        WorkerStore(Settings().find_redis()).dismiss(worker)
    except RedisError as error:
        log.warning("cannot remove a worker from Redis", error=str(error))
