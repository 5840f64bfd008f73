"""The one task: look for a job and run it. What is asked of Celery ends here."""

import structlog

from core.store.broker import GENERATE_TASK, MESSAGE_VERSION
from worker import bootstrap
from worker.celery import app
from worker.jobs.interruptions import DeviceBroken

log = structlog.get_logger("worker")


@app.task(name=GENERATE_TASK)
def generate(version: int = MESSAGE_VERSION, **_: object) -> None:
    """Run the best ready job, if there is one. A message that came twice or late finds none and
    returns.

    One that is no neighbouring version's may mean something else: it is acknowledged and forgotten.
    Nothing is lost, since no job is in a message.
    """
    if abs(version - MESSAGE_VERSION) > 1:
        log.warning("message of an unknown version", version=version, known=MESSAGE_VERSION)
        return
    try:
        bootstrap.runner().run_next()
    except DeviceBroken:
        bootstrap.leave_broken_child()
