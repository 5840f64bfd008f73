"""Delete expired jobs and uploads, and keep them in the trash until that is done."""

import threading
from collections import Counter
from datetime import timedelta

import structlog

from core.errors import Unavailable
from core.objects.object_keys import prefix_of
from core.objects.storage import ObjectStorage
from core.store.roles.dispatcher import BATCH, DispatcherStore

# until objects are tried again
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=15), timedelta(hours=1)
FAILURES_IN_A_ROW = 3  # from here on the storage counts as unavailable, not one object as stuck

log = structlog.get_logger("dispatcher")


class Expiry:
    """Forgets what is over, then deletes its objects. What a crash or an absent storage leaves is
    for the next run.
    """

    def __init__(
        self, store: DispatcherStore, storage: ObjectStorage, stop: threading.Event
    ) -> None:
        self._store = store
        self._storage = storage
        self._stop = stop
        self._failures: Counter[str] = Counter()  # by job or upload

    def run(self) -> None:
        """Batch after batch until nothing is due, the storage is away, or the process stops.

        Raises:
            Unavailable: the storage refused several deletions in a row; they are tried again, after
                growing delays.
        """
        while not self._stop.is_set():
            due = self._store.sweep_expired()
            self._empty(due)
            if len(due) < BATCH:
                return

    def _empty(self, due: list[str]) -> None:
        in_a_row = 0
        for resource_id in due:
            if self._stop.is_set():
                return
            try:
                self._storage.delete_prefix(prefix_of(resource_id))
            except Unavailable as error:
                self._try_later(resource_id, error)
                in_a_row += 1
                if in_a_row == FAILURES_IN_A_ROW:
                    raise
                continue
            in_a_row = 0
            self._store.emptied(resource_id)
            self._failures.pop(resource_id, None)
            log.info("objects deleted", of=resource_id)

    def _try_later(self, resource_id: str, error: Unavailable) -> None:
        delay = min(FIRST_DELAY * 2 ** self._failures[resource_id], LONGEST_DELAY)
        self._failures[resource_id] += 1
        self._store.postpone(resource_id, delay)
        log.warning(
            "objects cannot be deleted, trying later",
            of=resource_id,
            delay=str(delay),
            error=error.detail,
        )
