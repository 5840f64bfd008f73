"""How the gateway speaks with Redis: one pool of connections, and an answer or `Unavailable` within a second."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import redis.asyncio
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from core.errors import Unavailable

SOCKET_TIMEOUT_SECONDS = 0.8  # a request waits at most so long for a Redis that does not answer: 503 within a second
MAX_CONNECTIONS = 32  # Redis answers one command at a time; when hundreds of clients come at once, they queue here
MOST_WAITING = 1024  # calls that queue here; beyond that it is kinder to say so at once

Script = Callable[..., Awaitable[Any]]


class AsyncRedis:
    """The connection that all stores of a gateway share."""

    def __init__(self, url: str) -> None:
        pool = ConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        # redis-py types every answer as bytes or str or more
        self._client: Any = redis.asyncio.Redis.from_pool(pool)
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._waiting = 0

    def script(self, source: str) -> Script:
        """A Lua script as a function of its arguments.

        It raises:
            Unavailable: Redis does not answer; the script ran or not.
        """
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()  # Redis's name for it

        async def evaluate(*args: str | int) -> Any:
            try:
                return await self._client.evalsha(digest, 0, *args)
            except NoScriptError:  # a Redis that has just started: the script goes with the call
                return await self._client.eval(source, 0, *args)

        async def run(*args: str | int) -> Any:
            return await self._answer(evaluate, *args)

        return run

    async def ping(self) -> None:
        """Return if Redis answers.

        Raises:
            Unavailable: it does not.
        """
        await self._answer(self._client.ping)

    async def remove_member(self, sorted_set: str, member: str) -> None:
        """Take a member out of a sorted set, if it is there.

        Raises:
            Unavailable: Redis does not answer.
        """
        await self._answer(self._client.zrem, sorted_set, member)

    async def pop(self, waiting_list: str, patience: timedelta) -> None:
        """Take an element off a list as soon as there is one, or return when patience ends.

        Args:
            waiting_list: its key.
            patience: less than `SOCKET_TIMEOUT_SECONDS`.

        Raises:
            Unavailable: Redis does not answer.
        """
        await self._answer(self._client.blpop, [waiting_list], patience.total_seconds())

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _answer(self, command: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if self._turns.locked():
            await self._wait_for_a_turn()
        else:
            await self._turns.acquire()  # at once
        try:
            return await command(*args)
        except RedisError as error:
            reason = f"Redis does not answer ({type(error).__name__}); nothing is wrong with the request, try again"
            raise Unavailable(reason) from error
        finally:
            self._turns.release()

    async def _wait_for_a_turn(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("more requests wait for Redis than it can answer soon; try again")
        self._waiting += 1
        try:
            async with asyncio.timeout(SOCKET_TIMEOUT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Redis answers too slowly for all who ask; try again") from None
        finally:
            self._waiting -= 1
