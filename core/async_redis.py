"""How the gateway speaks with Redis: one pool of connections, and an answer or `Unavailable` within a second."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import redis.asyncio
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.errors import Unavailable

SOCKET_TIMEOUT_SECONDS = 0.8  # a request waits at most so long for a Redis that does not answer: 503 within a second
MAX_CONNECTIONS = 32  # Redis answers one command at a time; when hundreds of clients come at once, they queue here

Script = Callable[..., Awaitable[Any]]


class AsyncRedis:
    """The connection that all stores of a gateway share."""

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=SOCKET_TIMEOUT_SECONDS,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        # redis-py types every answer as bytes or str or more
        self._client: Any = redis.asyncio.Redis.from_pool(pool)

    def script(self, source: str) -> Script:
        """A Lua script as a function of its arguments.

        It raises:
            Unavailable: Redis does not answer; the script ran or not.
        """
        registered = self._client.register_script(source)

        async def run(*args: str | int) -> Any:
            return await _answer(registered(args=args))

        return run

    async def ping(self) -> None:
        """Return if Redis answers.

        Raises:
            Unavailable: it does not.
        """
        await _answer(self._client.ping())

    async def remove_member(self, sorted_set: str, member: str) -> None:
        """Take a member out of a sorted set, if it is there.

        Raises:
            Unavailable: Redis does not answer.
        """
        await _answer(self._client.zrem(sorted_set, member))

    async def pop(self, waiting_list: str, patience: timedelta) -> None:
        """Take an element off a list as soon as there is one, or return when patience ends.

        Args:
            waiting_list: its key.
            patience: less than `SOCKET_TIMEOUT_SECONDS`.

        Raises:
            Unavailable: Redis does not answer.
        """
        await _answer(self._client.blpop([waiting_list], timeout=patience.total_seconds()))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


async def _answer(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except RedisError as error:
        reason = f"Redis does not answer ({type(error).__name__}); nothing is wrong with the request, try again"
        raise Unavailable(reason) from error
