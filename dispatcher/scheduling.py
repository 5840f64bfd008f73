"""Free slots and ready jobs to messages. One too many finds nothing to do, one too few is sent by the next sweep."""

import math
from typing import ClassVar

from celery import Celery
from kombu.exceptions import OperationalError

from core.queue import GENERATE_TASK, MESSAGE_VERSION, QUEUE, broker_url, transport_options
from core.upkeep_store import UpkeepStore
from core.worker_record import WorkerRecord, WorkerState


class Scheduler:
    """Sends messages by task name, so that neither the worker nor torch has to be installed here."""

    ConnectionFailed: ClassVar[type[Exception]] = OperationalError

    def __init__(self, redis_url: str) -> None:
        self._celery = Celery("dispatcher", broker=broker_url(redis_url), set_as_current=False)
        self._celery.conf.update(
            broker_transport_options=transport_options(),
            task_ignore_result=True,
            task_publish_retry=False,  # the next sweep tries again; retrying inside would block the loop
        )

    def send_messages(self, store: UpkeepStore) -> int:
        """Send as many messages as there are free slots with work for them and none on the way; answers how many."""
        idle = [worker for worker in store.workers() if worker.state is WorkerState.IDLE]
        missing = _count_matches(store, idle) - store.queue_length(QUEUE) if idle else 0
        for _ in range(missing):
            self._celery.send_task(GENERATE_TASK, kwargs={"version": MESSAGE_VERSION}, queue=QUEUE)
        return max(missing, 0)


def _count_matches(store: UpkeepStore, idle: list[WorkerRecord]) -> int:
    """How many of these workers find a job that they can run, each another one.

    What a worker runs, one with a larger limit runs too; so the choosiest are served first and all get what they can.
    """
    matches = 0
    for worker in sorted(idle, key=lambda worker: worker.max_canvas_pixels or math.inf):
        matches = min(matches + 1, store.count_ready(worker.max_canvas_pixels, worker.schema))
    return matches
