"""What a connection may take of the gateway's time and memory, whoever sits at its other end.

uvicorn's protocol ends connections that are idle between two requests. This one also ends those on
which a head does not come or grows without end, and those on which an answer is not read, and
bounds how many there are. Bodies have their own limits (`api/middleware/body_limits.py`).
"""

import asyncio
import resource
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.types import Scope

from api.http.strict_http import MAX_HEAD_BYTES, StrictProtocol, too_large
from api.middleware.hosts import PROBES
from core.errors import RequestTimeout, ServiceError, Unavailable
from core.settings import Settings

# that a reader has to take in each `send_timeout` while an answer waits for it
LEAST_READ_BYTES = 64 * 2**10
SPARE_FILES = 256  # beside connections: Redis, storage, fetched images, files that are sent
CROWDED = "crowded"  # in a request's state: it came on a connection beyond the limit

log = structlog.get_logger("api")


@dataclass(frozen=True)
class ConnectionLimits:
    """Of one process; times in seconds."""

    head_timeout: float
    send_timeout: float
    most: int

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimits":
        """What the operator has set."""
        head, send = settings.head_timeout.total_seconds(), settings.send_timeout.total_seconds()
        return cls(head, send, settings.max_connections)


def is_crowded(scope: Scope) -> bool:
    """Whether a request came on a connection beyond the limit; its answer is the last thing on
    it.
    """
    return CROWDED in scope.get("state", ())


def refuse_crowds(scope: Scope) -> None:
    """Return if a request may be served; probes of a cluster always are.

    Raises:
        Unavailable: it came on a connection beyond the limit.
    """
    if is_crowded(scope) and scope["path"] not in PROBES:
        raise Unavailable("the gateway holds as many connections as it may; try again")


def protocol_within(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """What uvicorn makes for each connection."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})


def allow_files(connections: int) -> None:
    """Let this process have so many connections open, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            log.warning(
                "fewer files may be open than TOONCRAFTER_MAX_CONNECTIONS needs",
                files=most,
                needed=wanted,
            )


class GuardedProtocol(StrictProtocol):
    """One connection. A timer runs only while something is owed: a head, or the reading of an
    answer.
    """

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Expect a head. Beyond the limit it will be answered with 503, and far beyond it nothing
        is.
        """
        super().connection_made(transport)
        count = len(self.connections)
        if count > self.limits.most:
            self.app_state = {**self.app_state, CROWDED: True}
            if count > 2 * self.limits.most:
                transport.abort()
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Parse it, then see whether a head is still owed."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._head_timer:
                self._head_timer.cancel()
                self._head_timer, self._head_bytes = None, 0
        elif (
            not self.transport.is_closing()
        ):  # a part of a head, or of a body that nobody wants any more
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.refuse(too_large())
            elif self._head_timer is None:
                self._expect_head()

    def on_response_complete(self) -> None:
        """What was not read of the last answer of a connection holds it no longer than it may."""
        super().on_response_complete()
        if self.transport.is_closing() and self._unread():
            self._expect_reading()

    def refuse(self, error: ServiceError) -> None:
        """Close behind the answer, which nobody may read."""
        super().refuse(error)
        if self._unread():
            self._expect_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Nobody reads what is left of the answer, if there is something."""
        if self._unread():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """More waits for the reader than the buffer should hold."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._send_timer and not self.transport.is_closing():
            self._send_timer.cancel()
            self._send_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is owed any more."""
        super().connection_lost(exc)
        for timer in (self._head_timer, self._send_timer):
            if timer:
                timer.cancel()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._head_bytes:
            seconds = self.limits.head_timeout
            self.refuse(
                RequestTimeout(f"request line and headers have to arrive within {seconds:g} s")
            )
        else:
            self.transport.close()

    def _unread(self) -> int:
        return self.transport.get_write_buffer_size()

    def _expect_reading(self) -> None:
        if self._send_timer is None:
            left = self._unread()
            self._send_timer = self.loop.call_later(
                self.limits.send_timeout, self._look_at_reader, left
            )

    def _look_at_reader(self, before: int) -> None:
        """A slow reader is fine, one that takes next to nothing is not."""
        self._send_timer, left = None, self._unread()
        if left and before - left < LEAST_READ_BYTES:
            log.info("reader given up", address=self.client and self.client[0], unread_bytes=left)
            self.transport.abort()
        elif left:
            self._expect_reading()
