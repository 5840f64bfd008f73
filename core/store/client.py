"""Create redis-py clients with our timeouts; no other module does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from core.errors import Unavailable
from core.store.encoding import argument
from core.store.scripts import load

CONNECT_TIMEOUT_SECONDS = 2.0
# of the asyncio client: from a call to its answer, so that a request gets 503 within a second
PATIENCE_SECONDS = 0.8
CONNECTIONS = 32  # of the asyncio client; further calls wait for a free one

Script = Callable[..., Any]
AsyncScript = Callable[..., Coroutine[Any, Any, Any]]


def open_redis(url: str, *, timeout_seconds: float = 5.0, **options: Any) -> Any:
    """Open a blocking client, for threads; it connects with the first call.

    Args:
        url: address of Redis.
        timeout_seconds: how long a call may take.
        options: further ones of redis-py.

    Returns:
        A `redis.Redis`. It is untyped because redis-py types every answer as bytes or str or more.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=min(timeout_seconds, CONNECT_TIMEOUT_SECONDS),
        health_check_interval=10,
        **options,
    )


def open_script(client: Any, name: str) -> Script:
    """Return a script of `core/store/lua` as a function: its command, then the arguments."""
    registered = client.register_script(load(name))

    def run(command: str, *arguments: Any) -> Any:
        return registered(args=[command, *map(argument, arguments)])

    return run


class ScriptedStore:
    """A blocking client and the script that it runs, for threads."""

    def __init__(self, url: str, script: str, *, timeout_seconds: float = 5.0) -> None:
        """Connect on the first call."""
        self._redis = open_redis(url, timeout_seconds=timeout_seconds)
        self._run = open_script(self._redis, script)

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()


class AsyncRedis:
    """The asyncio client of a process: a pool of connections for all its calls.

    Every call answers within `PATIENCE_SECONDS` or raises `Unavailable`; the command may have been
    carried out nevertheless.
    """

    def __init__(self, url: str) -> None:
        """Connect on the first call."""
        # `_answered` bounds the whole call. redis-py's own time-out of a write would be
        # `asyncio.wait_for`, which in Python 3.11 may swallow the cancellation by `_answered`.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._client: Any = redis.asyncio.Redis.from_pool(pool)

    def script(self, name: str) -> AsyncScript:
        """Return a script of `core/store/lua` as a function: its command, then the arguments."""
        run = open_script(self._client, name)

        async def answered(command: str, *arguments: Any) -> Any:
            async with _answered():
                return await run(command, *arguments)

        return answered

    async def ping(self) -> None:
        """Return if Redis answers."""
        async with _answered():
            await self._client.ping()

    async def remove_member(self, sorted_set: str, member: str) -> None:
        """Remove a member from a sorted set, if it is there."""
        async with _answered():
            await self._client.zrem(sorted_set, member)

    async def pop(self, waiting_list: str, patience: timedelta) -> None:
        """Remove an element from a list as soon as there is one; return when patience ends."""
        seconds = patience.total_seconds()
        async with _answered(seconds + PATIENCE_SECONDS):
            await self._client.blpop([waiting_list], timeout=seconds)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def open_listener(url: str) -> Any:
    """Open an asyncio client for subscriptions, on which messages may be far apart."""
    return redis.asyncio.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        health_check_interval=10,
    )


@asynccontextmanager
async def _answered(seconds: float | None = None) -> AsyncIterator[None]:
    """Bound a call's time and turn its failure into `Unavailable`."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS if seconds is None else seconds):
            yield
    except ResponseError as error:
        # only the code, such as OOM: the rest may name keys
        code = error.status_code or str(error).partition(" ")[0]
        raise Unavailable(
            f"Redis refuses ({code}); nothing is wrong with the request, try again"
        ) from error
    except (RedisError, OSError) as error:
        reason = f"Redis does not answer ({type(error).__name__})"
        raise Unavailable(f"{reason}; nothing is wrong with the request, try again") from error
