"""The Celery app of the worker; docs/architecture.md explains its settings."""

import os
from typing import Any

from celery import Celery
from celery.signals import (
    celeryd_after_setup,
    celeryd_init,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from kombu import Queue

from core.records.offer import Offer
from core.settings import Settings
from core.store.broker import broker_url, queues_of, transport_options
from core.telemetry.logging import configure_logging
from worker import bootstrap

# Celery kills a replacement child that is not up by then; its default is 4.
MODEL_LOAD_SECONDS = 600.0

_settings = Settings()
_offer = Offer.of_setting(_settings.model or "", _settings.adapters)

app = Celery("worker", broker=broker_url(_settings.find_redis()), include=["worker.tasks"])
app.conf.update(
    task_queues=[Queue(name) for name in queues_of(_offer)],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure=True,
    task_ignore_result=True,
    # One job holds the GPU for a minute; a second must stay on the queue.
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_pool_start_method="spawn",  # CUDA does not survive a fork
    worker_proc_alive_timeout=MODEL_LOAD_SECONDS,
    # A restart of Redis need not cost a GPU minute.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    task_serializer="json",
    accept_content=["json"],
    broker_transport_options=transport_options(),
)


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(_settings.log_level, _settings.log_format)


@celeryd_after_setup.connect
def _keep_children_silent(**_: Any) -> None:
    """Drop billiard's own log lines, which children write until they have configured logging."""
    os.environ.pop("_MP_FORK_LOGLEVEL_", None)


celeryd_init.connect(bootstrap.start_parent)
worker_process_init.connect(bootstrap.start_child)
worker_shutting_down.connect(bootstrap.ask_child_to_stop)
worker_shutdown.connect(bootstrap.end_parent)
worker_process_shutdown.connect(bootstrap.end_child)
