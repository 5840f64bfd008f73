"""How the gateway speaks with Redis: one connection for all who ask, and an answer or `Unavailable`
within a second.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import hiredis

from core.errors import Unavailable
from core.store.connection import PipelinedConnection, open_connection, pack

# a request waits at most so long for a Redis that does not answer: 503 within a second
PATIENCE_SECONDS = 0.8
MOST_WAITING = 1024  # answers that a connection owes; beyond that it is kinder to say so at once

Script = Callable[..., Coroutine[Any, Any, Any]]


class AsyncRedis:
    """The connection that all calls of a store share. It is opened by the first call, and again
    after it broke.
    """

    def __init__(self, url: str) -> None:
        self._calls = _Line(url)
        # apart: while one waits, Redis answers nothing else on its connection
        self._pops = _Line(url)

    def script(self, source: str) -> Script:
        """A Lua script as a function of its arguments.

        It raises:
            Unavailable: Redis does not answer; the script ran or not.
        """
        # Redis's name for it
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        ask = self._calls.ask

        async def run(*args: str | int) -> Any:
            answer = await ask("EVALSHA", digest, 0, *args)
            if isinstance(answer, hiredis.ReplyError):
                if not str(answer).startswith("NOSCRIPT"):
                    raise _refused(answer)
                # a Redis that has just started
                return await self._command("EVAL", source, 0, *args)
            return answer

        return run

    async def ping(self) -> None:
        """Return if Redis answers.

        Raises:
            Unavailable: it does not.
        """
        await self._command("PING")

    async def remove_member(self, sorted_set: str, member: str) -> None:
        """Take a member out of a sorted set, if it is there.

        Raises:
            Unavailable: Redis does not answer.
        """
        await self._command("ZREM", sorted_set, member)

    async def pop(self, waiting_list: str, patience: timedelta) -> None:
        """Take an element off a list as soon as there is one, or return when patience ends. One
        caller at a time.

        Args:
            waiting_list: its key.
            patience: less than `PATIENCE_SECONDS`.

        Raises:
            Unavailable: Redis does not answer.
        """
        answer = await self._pops.ask("BLPOP", waiting_list, patience.total_seconds())
        if isinstance(answer, hiredis.ReplyError):
            raise _refused(answer)

    async def close(self) -> None:
        """Close all connections."""
        self._calls.close()
        self._pops.close()

    async def _command(self, *words: str | int) -> Any:
        answer = await self._calls.ask(*words)
        if isinstance(answer, hiredis.ReplyError):
            raise _refused(answer)
        return answer


class _Line:
    """A connection that is opened when somebody asks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: PipelinedConnection | None = None
        self._opening: asyncio.Task[PipelinedConnection] | None = None

    async def ask(self, *words: str | int | float) -> Any:
        """Redis's answer, which may be a `hiredis.ReplyError`.

        Raises:
            Unavailable: there is none in time.
        """
        command = pack(*words)  # first: words that cannot be sent are the caller's own mistake
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        try:
            connection = self._connection
            if connection is None or not connection.is_open:
                connection = await self._open()
            if connection.owed >= MOST_WAITING:
                raise Unavailable("more requests wait for Redis than it can answer soon; try again")
            return await connection.send(command, deadline)
        except OSError as error:
            reason = f"Redis does not answer ({type(error).__name__}); nothing is wrong with the request, try again"
            raise Unavailable(reason) from error

    def close(self) -> None:
        if self._opening:
            self._opening.cancel()
        if self._connection:
            self._connection.close()

    async def _open(self) -> PipelinedConnection:
        """Connect once for all who ask meanwhile; who gives up leaves the others to it."""
        if self._opening is None:
            self._opening = asyncio.create_task(
                open_connection(self._url, PATIENCE_SECONDS), name="connect to Redis"
            )
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    def _opened(self, task: asyncio.Task[PipelinedConnection]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()


def _refused(error: hiredis.ReplyError) -> Unavailable:
    """By the first word of what Redis says, such as OOM; the rest may name keys."""
    code = str(error).partition(" ")[0]
    return Unavailable(f"Redis refuses ({code}); nothing is wrong with the request, try again")
