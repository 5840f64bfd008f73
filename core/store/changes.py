"""Notify waiting clients of job changes, through one subscription per gateway."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
from redis.exceptions import RedisError

from core.store.client import open_listener
from core.store.redis_keys import CHANGES, PREVIEW

RECONNECT_SECONDS = 0.5

log = structlog.get_logger("core")


class ChangeFeed:
    """Wakes those who watch a job when it changes, and passes on pictures of what it draws.

    A wake-up is a hint to read again; it may come without a change.
    """

    def __init__(self, url: str) -> None:
        self._redis = open_listener(url)
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._viewers: defaultdict[str, list[tuple[asyncio.Event, deque[str]]]] = defaultdict(list)
        self._pubsub: Any = None  # while it is subscribed
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

    @asynccontextmanager
    async def view(self, job_id: str) -> AsyncIterator[tuple[asyncio.Event, deque[str]]]:
        """Watch a job and its pictures.

        Returns:
            The event of `watch`, which is set by a picture as well, and where the newest picture
            is put, as the JSON of a `Preview`.
        """
        pictures = deque[str](maxlen=1)
        with self.watch(job_id) as news:
            viewer = (news, pictures)
            self._viewers[job_id].append(viewer)
            if len(self._viewers[job_id]) == 1:
                await self._switch("subscribe", job_id)
            try:
                yield viewer
            finally:
                self._viewers[job_id].remove(viewer)
                if not self._viewers[job_id]:
                    del self._viewers[job_id]
                    await self._switch("unsubscribe", job_id)

    async def _switch(self, command: str, job_id: str) -> None:
        """Subscribe or unsubscribe; a subscription that is being opened does it by itself."""
        if self._pubsub:
            with suppress(RedisError, OSError):  # `_listen` notices as well and opens another
                await getattr(self._pubsub, command)(PREVIEW + job_id)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANGES)
                    self._pubsub = pubsub
                    for job_id in list(self._viewers):
                        await pubsub.subscribe(PREVIEW + job_id)
                    async for message in pubsub.listen():
                        self._take(message)
            except (RedisError, OSError) as error:
                log.warning("subscription to job changes broke, trying again", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)
            finally:
                self._pubsub = None

    def _take(self, message: dict[str, Any]) -> None:
        if message["channel"] != CHANGES:
            if message["type"] == "message":
                self._show(message["channel"].removeprefix(PREVIEW), message["data"])
        elif message["type"] == "subscribe":
            # redis-py subscribes again by itself; changes may have been missed
            self.wake_all()
        else:
            self._wake([message["data"].partition(" ")[0]])

    def _show(self, job_id: str, picture: str) -> None:
        for news, pictures in self._viewers.get(job_id, ()):
            pictures.append(picture)
            news.set()

    def wake_all(self) -> None:
        """Wake all who watch any job."""
        self._wake(list(self._watchers))

    def _wake(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            for event in self._watchers.get(job_id, ()):
                event.set()
