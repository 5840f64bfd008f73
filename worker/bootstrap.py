"""From settings to a runner: store, storage and pipeline, once in each child process that owns a device."""

import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError

from core import shot
from core.job_store import JobStore
from core.logging import configure_logging
from core.settings import Settings
from core.storage import open_storage
from worker.heartbeat import Heartbeat

if TYPE_CHECKING:
    from worker.runner import Runner

TINY = "tiny"

log = structlog.get_logger("worker")

_runner: "Runner | None" = None


def refuse_to_start_without_model() -> None:
    """End this process where no model is named, so that nobody is served the noise of random weights by accident.

    Raises:
        SystemExit: `TOONCRAFTER_MODEL` is unset or names nothing that exists.
    """
    model = Settings().model
    if model is None:
        raise SystemExit(
            "TOONCRAFTER_MODEL is not set: it has to name a diffusers folder or a published checkpoint file; "
            "`tiny` is an untrained model for tests"
        )
    if model != TINY and not Path(model).exists():
        raise SystemExit(f"TOONCRAFTER_MODEL names {model}, which does not exist")


def runner() -> "Runner":
    """The runner of this child process."""
    if _runner is None:
        raise RuntimeError("the model is not loaded: tasks run in a child of `celery worker --pool=prefork`")
    return _runner


def start_child() -> None:
    """Load the model into this child process, which keeps it until it ends.

    A child that cannot load ends its worker as well: Celery would start one after the other and never serve a job.
    """
    global _runner  # Celery gives a child no other place to keep what it owns
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    try:
        _runner = build_runner(settings, worker_name(os.getppid()))
    except Exception:
        log.exception("the model cannot be loaded, the worker ends")
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)


def build_runner(settings: Settings, worker: str) -> "Runner":
    """Load the pipeline, announce the worker, and return what runs its jobs."""
    from model.checkpoint import load_pipeline  # torch belongs into the child: the parent only passes messages on
    from worker.device import choose_device, choose_dtype, describe, use_threads
    from worker.placement import compile_and_warm_up, device_of_weights, place
    from worker.runner import Runner

    store, storage = JobStore(settings.find_redis()), open_storage(settings)
    storage.ping()
    use_threads(settings.threads)
    device = choose_device(settings.device)
    begun = time.monotonic()
    loaded = load_pipeline(
        settings.model or TINY,
        device=device_of_weights(device, settings.offload),
        dtype=choose_dtype(settings.dtype, device),
        cache_dir=settings.model_cache or settings.state_dir / "models",
    )
    place(loaded.pipeline, device, settings.offload)
    if settings.compile:
        compile_and_warm_up(loaded.pipeline, [shot.parse_canvas(canvas) for canvas in settings.warm_canvases])
    load_seconds = time.monotonic() - begun
    model = describe(loaded, device)
    heartbeat = Heartbeat(store, worker)
    heartbeat.start(model, load_seconds)
    log.info("model loaded", **model.model_dump(exclude={"peak_memory_bytes"}), seconds=round(load_seconds, 2))
    return Runner(store, storage, heartbeat, loaded.pipeline, model, load_seconds, settings.max_image_pixels)


def end_child() -> None:
    """This child stops in order."""
    if _runner is not None:
        _runner.heartbeat.end()


def ask_child_to_stop() -> None:
    """Called in the parent: the child ends its job within the grace or gives it back; Celery waits for it."""
    settings = Settings()
    try:
        JobStore(settings.find_redis()).ask_to_stop(worker_name(os.getpid()), settings.shutdown_grace)
    except (RedisError, RuntimeError) as error:
        log.warning("cannot tell the child to stop, its job will end first", error=str(error))


def worker_name(parent_pid: int) -> str:
    """The name under which parent and child know the same worker: host and the parent's process id."""
    return f"{socket.gethostname()}:{parent_pid}"
