"""A connection to Redis on which many callers ask at the same time.

Each command goes out at once and Redis answers in their order, so what many ask in the same moment
shares packets in both directions, and no caller waits for a connection to be free. hiredis packs
commands and parses answers.
"""

import asyncio
from collections import deque
from typing import Any, cast

import hiredis
from redis.asyncio.connection import ConnectionPool, SSLConnection, UnixDomainSocketConnection

_INCOMPLETE = object()  # what the parser says while the rest of an answer is on its way
_pack: Any = hiredis.pack_command  # whose types allow for one word only
_BROKEN = "the connection to Redis broke"


def pack(*words: str | int | float) -> bytes:
    """A command as Redis reads it."""
    try:
        return bytes(_pack(words))
    except TypeError:  # it refuses kinds of `int`, such as pydantic's sizes
        return bytes(_pack(tuple(int(word) if isinstance(word, int) else word for word in words)))


class PipelinedConnection(asyncio.Protocol):
    """An open connection; made by `open_connection`."""

    def __init__(self, patience_seconds: float) -> None:
        """A connection that nothing was sent on yet.

        Args:
            patience_seconds: twice as long without a byte of an overdue answer, and it is given up.
        """
        self._loop = asyncio.get_running_loop()
        self._patience = patience_seconds
        self._reader = hiredis.Reader(encoding="utf-8", notEnoughData=_INCOMPLETE)
        # deadline and caller, the oldest first
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        # answers that will come before those, and for which nobody waits any more
        self._overdue = 0
        self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None

    @property
    def owed(self) -> int:
        """Answers that have not come yet."""
        return len(self._waiting) + self._overdue

    def send(self, command: bytes, deadline: float) -> asyncio.Future[Any]:
        """Send a command on an open connection.

        The future may be canceled: the answer is then dropped when it comes.

        Args:
            command: of `pack`.
            deadline: of the answer, by the loop's clock; no earlier than that of the command
                before.

        Returns:
            The answer, which may be a `hiredis.ReplyError`; or `TimeoutError` or `ConnectionError`
            is raised.
        """
        if self._transport is None:
            raise ConnectionError(_BROKEN)
        answer = self._loop.create_future()
        self._waiting.append((deadline, answer))
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look_at_the_clock)
        self._transport.write(command)
        return answer

    def close(self) -> None:
        """Close it; whoever waits hears of it."""
        if self._transport:
            self._transport.abort()
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop has connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand answers out in the order of the questions."""
        self._heard = self._loop.time()
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not _INCOMPLETE:
                self._hand_out(answer)
        except (hiredis.HiredisError, UnicodeDecodeError, IndexError):  # not what Redis would say
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._transport = None
        if self._timer:
            self._timer.cancel()
        while self._waiting:
            _, caller = self._waiting.popleft()
            if not caller.done():
                caller.set_exception(ConnectionError(_BROKEN))

    def _hand_out(self, answer: Any) -> None:
        if self._overdue:
            self._overdue -= 1
            return
        _, caller = self._waiting.popleft()
        if not caller.done():
            caller.set_result(answer)

    def _look_at_the_clock(self) -> None:
        """One timer for all: it looks when the oldest answer is due."""
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, caller = self._waiting.popleft()
            self._overdue += 1
            if not caller.done():
                caller.set_exception(TimeoutError("Redis did not answer in time"))
        # its machine may be gone without a word
        if self._overdue and now - self._heard > 2 * self._patience:
            self.close()
        elif self.owed:
            next_look = self._waiting[0][0] if self._waiting else now + self._patience
            self._timer = self._loop.call_at(next_look, self._look_at_the_clock)
        else:
            self._timer = None


async def open_connection(url: str, patience_seconds: float) -> PipelinedConnection:
    """Connect, with the encryption, the user and the database that the URL names.

    Args:
        url: `redis://`, `rediss://` or `unix://`, with the options that redis-py takes.
        patience_seconds: by when it has to be done.

    Raises:
        OSError: that did not work, or not in time.
    """
    pool: Any = ConnectionPool.from_url(url)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    async with asyncio.timeout_at(deadline):
        connection = await _connect(pool.make_connection(), patience_seconds)
        for command in _greeting(pool.connection_kwargs):
            answer = await connection.send(pack(*command), deadline)
            if isinstance(answer, hiredis.ReplyError):
                connection.close()
                raise ConnectionRefusedError(str(answer))
    return connection


async def _connect(target: Any, patience_seconds: float) -> PipelinedConnection:
    """Reach what redis-py made of the URL."""
    loop = asyncio.get_running_loop()

    def make() -> PipelinedConnection:
        return PipelinedConnection(patience_seconds)

    if isinstance(target, UnixDomainSocketConnection):
        return (await loop.create_unix_connection(make, target.path))[1]
    tls = target.ssl_context.get() if isinstance(target, SSLConnection) else None
    return (await loop.create_connection(make, target.host, int(target.port), ssl=tls))[1]


def _greeting(options: dict[str, Any]) -> list[tuple[str, ...]]:
    """Who we are, and which database we mean."""
    user, password, database = (options.get(name) for name in ("username", "password", "db"))
    greeting: list[tuple[str, ...]] = []
    if password:
        greeting.append(("AUTH", *filter(None, [user]), password))
    if database:
        greeting.append(("SELECT", str(database)))
    return greeting
