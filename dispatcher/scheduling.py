"""Send one message per free slot that has a ready job.

A message too many finds nothing to do; one too few is sent by the next sweep.
"""

import time
from typing import ClassVar

from celery import Celery
from kombu.exceptions import OperationalError

from core.store.broker import (
    GENERATE_TASK,
    MESSAGE_VERSION,
    QUEUE,
    broker_url,
    queue_of,
    transport_options,
)
from core.store.roles.dispatcher import DispatcherStore

RECOUNT_SECONDS = 1.0  # workers count themselves; this finds those that did not, and the dead


class Scheduler:
    """Sends messages by task name, so that neither the worker nor torch has to be installed
    here.
    """

    ConnectionFailed: ClassVar[type[Exception]] = OperationalError

    def __init__(self, redis_url: str) -> None:
        self._celery = Celery("dispatcher", broker=broker_url(redis_url), set_as_current=False)
        self._celery.conf.update(
            broker_transport_options=transport_options(),
            task_ignore_result=True,
            # the next sweep tries again; retrying inside would block the loop
            task_publish_retry=False,
        )
        self._recount_at = 0.0

    def send_messages(self, store: DispatcherStore) -> int:
        """Send as many messages as there are free slots with work for them and none on the way;
        answers how many.
        """
        now = time.monotonic()
        if now >= self._recount_at:
            store.recount_workers()
            self._recount_at = now + RECOUNT_SECONDS
        missing = store.count_missing_messages(QUEUE)
        for model, count in missing.items():
            for _ in range(count):
                self._celery.send_task(
                    GENERATE_TASK, kwargs={"version": MESSAGE_VERSION}, queue=queue_of(model)
                )
        return sum(missing.values())
