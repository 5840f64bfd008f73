"""The one task: look for jobs and run them."""

import structlog

from core.store.broker import GENERATE_TASK, MESSAGE_VERSION
from worker import bootstrap
from worker.celery import app
from worker.gpu.faults import DeviceBroken

log = structlog.get_logger("worker")


@app.task(name=GENERATE_TASK)
def generate(version: int = MESSAGE_VERSION, **_: object) -> None:
    """Run jobs until none waits; a message that came twice or late finds none and returns.

    A message of another than a neighbouring version may mean something else, so it is acknowledged
    and ignored. Nothing is lost, since no message names a job.
    """
    if abs(version - MESSAGE_VERSION) > 1:
        log.warning("message of an unknown version", version=version, known=MESSAGE_VERSION)
        return
    try:
        bootstrap.runner().run_all()
    except DeviceBroken:
        bootstrap.leave_broken_child()
