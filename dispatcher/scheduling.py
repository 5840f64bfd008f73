"""Free slots and ready jobs to messages. One too many finds nothing to do, one too few is sent by the next sweep."""

from typing import ClassVar

from celery import Celery
from kombu.exceptions import OperationalError

from core.job_store import JobStore
from core.queue import GENERATE_TASK, QUEUE, broker_url, transport_options
from core.worker_record import WorkerState


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

    def send_messages(self, store: JobStore) -> int:
        """Send as many messages as there are free slots with work for them and none on the way; answers how many."""
        idle = sum(worker.state is WorkerState.IDLE for worker in store.workers())
        missing = min(store.count_ready(), idle) - store.queue_length(QUEUE)
        for _ in range(missing):
            self._celery.send_task(GENERATE_TASK, queue=QUEUE)
        return max(missing, 0)
