"""Notify waiting clients of job changes, through one subscription per gateway."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
from redis.exceptions import RedisError

from core.store.client import open_listener
from core.store.keys import CHANGES

RECONNECT_SECONDS = 0.5

log = structlog.get_logger("core")


class ChangeFeed:
    """Wakes those who watch a job when it changes.

    A wake-up is a hint to read again; it may come without a change.
    """

    def __init__(self, url: str) -> None:
        self._redis = open_listener(url)
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, in a task of the running loop."""
        self._task = asyncio.create_task(self._listen(), name="job changes")

    async def close(self) -> None:
        """Stop listening."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Return an event that is set when the job may have changed.

        Read the job after entering, and clear the event before each reading.
        """
        event = asyncio.Event()
        self._watchers[job_id].add(event)
        try:
            yield event
        finally:
            self._watchers[job_id].discard(event)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANGES)
                    async for message in pubsub.listen():
                        if message["type"] == "subscribe":
                            # redis-py subscribes again by itself; changes may have been missed
                            self.wake_all()
                        else:
                            self._wake([message["data"].partition(" ")[0]])
            except (RedisError, OSError) as error:
                log.warning("subscription to job changes broke, trying again", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    def wake_all(self) -> None:
        """Wake all who watch any job."""
        self._wake(list(self._watchers))

    def _wake(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            for event in self._watchers.get(job_id, ()):
                event.set()
