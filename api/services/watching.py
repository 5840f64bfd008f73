"""Wait for a job to change: for long polls and event streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta

from core.errors import Unavailable
from core.records.job import Job, QueuedView
from core.store.changes import ChangeFeed
from core.store.roles.gateway import GatewayStore

REREAD = timedelta(seconds=15)  # a waiter reads again after this time, should news have been lost
AWAY = timedelta(seconds=1)  # between the reads of a stream while Redis does not answer


class JobWatch:
    """Waits for changes of jobs. `close` ends all waiting, so that the gateway can stop."""

    def __init__(self, store: GatewayStore, feed: ChangeFeed) -> None:
        self._store = store
        self._feed = feed
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all waiting: long polls answer what they have, streams end."""
        self._closing.set()
        self._feed.wake_all()

    async def until(
        self, job_id: str, tenant: str, done: Callable[[Job], bool], patience: timedelta
    ) -> QueuedView | None:
        """Return the first view of a job for which `done` holds, or its last when patience ends.

        Returns None if there is no such job.

        Raises:
            Unavailable: Redis does not answer.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience.total_seconds()
        with self._feed.watch(job_id) as news:
            while True:
                news.clear()
                view = await self._store.read(job_id, tenant)
                left = deadline - loop.time()
                if view is None or done(view.job) or left <= 0 or self._closing.is_set():
                    return view
                await _wait(news, min(left, REREAD.total_seconds()))

    async def follow(
        self, job_id: str, tenant: str, seen_version: int, life: timedelta
    ) -> AsyncIterator[QueuedView | str]:
        """Yield every state of a job that is newer than `seen_version`, and pictures of it.

        A picture is the JSON of a `Preview`. States and pictures that come faster than they are
        read are coalesced. Ends after the final state, when the job is deleted, after `life`, or
        when the gateway stops. Waits while Redis is away.
        """
        ends = asyncio.get_running_loop().time() + life.total_seconds()
        async with self._feed.view(job_id) as (news, pictures):
            while not self._closing.is_set():
                news.clear()
                try:
                    view = await self._store.read(job_id, tenant)
                except Unavailable:
                    await _wait(news, AWAY.total_seconds())
                    continue
                if view is None:
                    return
                if view.job.version > seen_version:
                    seen_version = view.job.version
                    yield view
                left = ends - asyncio.get_running_loop().time()
                if view.job.status.is_final or left <= 0:
                    return
                while pictures:
                    yield pictures.pop()
                await _wait(news, min(left, REREAD.total_seconds()))


async def _wait(news: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()
