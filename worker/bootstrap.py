"""From settings to a runner: store, storage and pipeline, once in each child process that owns a
device.
"""

import logging
import os
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import structlog
from redis.exceptions import RedisError

from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from core.objects.storage import open_storage
from core.settings import Settings
from core.shots import canvas as shot
from core.store.check import check_redis_in_background
from core.store.roles.worker import JobStore
from core.telemetry.logging import configure_logging
from core.telemetry.metrics import worker_registry
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing
from worker.gpu.metrics import GpuMetrics
from worker.watch.heartbeat import Heartbeat
from worker.watch.judgement import Judge
from worker.watch.watchdog import Watchdog

if TYPE_CHECKING:
    from worker.jobs.runner import Runner

TINY = "tiny"
# a child looks at its deadline at each step; the parent only where one takes so long
OVERTIME = timedelta(seconds=60)

log = structlog.get_logger("worker")

_runner: "Runner | None" = None
_watchdog: Watchdog | None = None


def refuse_to_start_without_model() -> None:
    """End this process where no model is named, so that nobody is served the noise of random
    weights by accident.

    Raises:
        SystemExit: `TOONCRAFTER_MODEL` is unset or names nothing that exists.
    """
    model = Settings().model
    if model is None:
        raise SystemExit(
            "TOONCRAFTER_MODEL is not set: it has to name a diffusers folder or a published "
            "checkpoint file; "
            "`tiny` is an untrained model for tests"
        )
    if model != TINY and not Path(model).exists():
        raise SystemExit(f"TOONCRAFTER_MODEL names {model}, which does not exist")


def runner() -> "Runner":
    """The runner of this child process."""
    if _runner is None:
        raise RuntimeError(
            "the model is not loaded: tasks run in a child of `celery worker --pool=prefork`"
        )
    return _runner


def start_child() -> None:
    """Load the model into this child process, which keeps it until it ends.

    A child that cannot load ends its worker as well: Celery would start one after the other and
    never serve a job.
    """
    global _runner  # Celery gives a child no other place to keep what it owns
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "worker")
    try:
        _runner = build_runner(settings, worker_name(os.getppid()))
    except Exception:
        log.exception("the model cannot be loaded, the worker ends")
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)


def build_runner(settings: Settings, worker: str) -> "Runner":
    """Load the pipeline, announce the worker, and return what runs its jobs."""
    # torch belongs into the child: the parent only passes messages on
    from model.checkpoint import load_pipeline
    from worker.gpu.device import (
        choose_device,
        choose_dtype,
        describe,
        gpu_uuid,
        require_working_device,
        use_threads,
    )
    from worker.gpu.memory import DeviceMemory
    from worker.gpu.placement import compile_and_warm_up, device_of_weights, place
    from worker.jobs.runner import Limits, Runner

    store, storage = JobStore(settings.find_redis()), open_storage(settings)
    storage.ping()
    use_threads(settings.threads)
    device = choose_device(settings.device)
    heartbeat = Heartbeat(store, worker, device, _about(settings))
    heartbeat.start()
    require_working_device(device)
    begun = time.monotonic()
    loaded = load_pipeline(
        settings.model or TINY,
        device=device_of_weights(device, settings.offload),
        dtype=choose_dtype(settings.dtype, device),
        cache_dir=settings.model_cache or settings.state_dir / "models",
    )
    place(loaded.pipeline, device, settings.offload)
    if settings.compile:
        compile_and_warm_up(
            loaded.pipeline, [shot.parse_canvas(canvas) for canvas in settings.warm_canvases]
        )
    load_seconds = time.monotonic() - begun
    model = describe(loaded, device)
    heartbeat.ready(model, load_seconds, gpu_uuid(device))
    log.info(
        "model loaded",
        **model.model_dump(exclude={"peak_memory_bytes"}),
        seconds=round(load_seconds, 2),
    )
    limits = Limits(settings.max_canvas_pixels, settings.job_timeout)
    memory = DeviceMemory(loaded.pipeline, device, settings.offload)
    decoders = Decoders(DecoderLimits.of(settings))
    return Runner(
        store, storage, heartbeat, loaded.pipeline, model, load_seconds, limits, memory, decoders
    )


def _about(settings: Settings) -> dict[str, str]:
    """What a worker's record shows beside its state and its model."""
    limit = settings.max_canvas_pixels
    return {"host": socket.gethostname(), "max_canvas_pixels": "" if limit is None else str(limit)}


def leave_broken_child() -> NoReturn:
    """End this process: its device computes nothing more here. Celery starts another, which the
    quarantine holds.
    """
    end_tracing()
    logging.shutdown()
    os._exit(os.EX_SOFTWARE)


def end_child() -> None:
    """This child stops in order."""
    if _runner is not None:
        _runner.heartbeat.end()
    end_tracing()


def start_parent() -> None:
    """Called in the parent, before it has a child: refuse what cannot work, then watch over what
    does.
    """
    global _watchdog  # as `_runner`, in the other process
    refuse_to_start_without_model()
    settings = Settings()
    # Celery asks for it later, after the first lines
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "worker")
    worker, redis_url = worker_name(os.getpid()), settings.find_redis()
    check_redis_in_background(redis_url)
    # in a container it bears the name of the one before; what was said of that is not said of this
    _dismiss(worker)
    judge = Judge(settings.watchdog_timeout, settings.job_timeout + OVERTIME)
    _watchdog = Watchdog(lambda: JobStore(redis_url), worker, judge, settings.job_timeout)
    registry = worker_registry()
    registry.register(GpuMetrics(lambda: judge.facts.gpu if judge.facts else ""))
    serve_metrics(
        settings, registry, is_ready=lambda: bool(judge.facts and judge.facts.model_loaded)
    )
    _watchdog.start()


def end_parent() -> None:
    """The child has ended, in order or not, and so does this process."""
    if _watchdog is not None:
        _watchdog.end()
    end_tracing()
    _dismiss(worker_name(os.getpid()))


def _dismiss(worker: str) -> None:
    try:
        JobStore(Settings().find_redis()).dismiss(worker)
    except RedisError as error:
        log.warning("cannot tell Redis that a worker is gone", error=str(error))


def ask_child_to_stop() -> None:
    """Called in the parent: the child ends its job within the grace or gives it back; Celery waits
    for it.
    """
    settings = Settings()
    try:
        JobStore(settings.find_redis()).ask_to_stop(
            worker_name(os.getpid()), settings.shutdown_grace
        )
    except (RedisError, RuntimeError) as error:
        log.warning("cannot tell the child to stop, its job will end first", error=str(error))


def worker_name(parent_pid: int) -> str:
    """The name under which parent and child know the same worker: host and the parent's process
    id.
    """
    return f"{socket.gethostname()}:{parent_pid}"
