"""Limits of what comes in: the size of one body, the time it takes, and the bytes of all at
once.
"""

import asyncio
from datetime import timedelta

from starlette.types import Message, Receive, Scope

from api.http.raw_headers import header
from core.errors import BodyTooLarge, RequestTimeout, ServiceError, Unavailable


class BodyGuard:
    """Refuses a body that is too large (413), too slow (408), or one too many for the memory (503).

    A body is measured as it comes, whatever length was announced; only one that is announced as too
    large is refused before a byte is read. What has come counts until the request is answered,
    since somebody may hold it so long.
    """

    def __init__(self, max_bytes: int, max_bytes_of_all: int, patience: timedelta) -> None:
        """A guard of all requests of a gateway.

        Args:
            max_bytes: of one body.
            max_bytes_of_all: of the bodies of all requests that are not answered yet.
            patience: with one body, from the first look at it to its end.
        """
        self._max_bytes = max_bytes
        self._max_bytes_of_all = max_bytes_of_all
        self.patience = patience
        self._bytes_of_all = 0

    def watch(self, scope: Scope, receive: Receive) -> "GuardedBody | None":
        """The body of a request, if it has one; to be read instead of the server's, and to be
        forgotten at the end.

        Raises:
            BodyTooLarge: it is announced as too large.
        """
        announced = header(scope, b"content-length")
        if announced is None:
            # then there is no body (RFC 9112, section 6.3)
            if header(scope, b"transfer-encoding") is None:
                return None
        elif announced.isdigit() and int(announced) > self._max_bytes:
            raise self._too_large()
        return GuardedBody(self, receive)

    def forget(self, received: int) -> None:
        """So many bytes are held no longer."""
        self._bytes_of_all -= received

    async def next_part(self, receive: Receive, deadline: float) -> Message:
        """A part of a body, counted with all others.

        Raises:
            RequestTimeout: none came in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(
                f"the body has to arrive within {self.patience.total_seconds():.0f} s"
            ) from None
        self._bytes_of_all += len(message.get("body", b""))
        return message

    def check(self, received: int) -> None:
        """Raise what is wrong once so many bytes of a body have come."""
        if received > self._max_bytes:
            raise self._too_large()
        if self._bytes_of_all > self._max_bytes_of_all:
            raise Unavailable(
                "the gateway holds as many large bodies as its memory allows; try again"
            )

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body has to have at most {self._max_bytes} bytes")


class GuardedBody:
    """One body as it comes.

    `answered`: the endpoint has begun to answer. `refused`: the body was; the connection has to be
    closed behind the answer, since the server would go on reading, and forgetting, whatever comes.
    """

    def __init__(self, guard: BodyGuard, receive: Receive) -> None:
        self._guard = guard
        self._receive = receive
        self._received = 0
        self._deadline: float | None = None
        self._complete = False
        self.answered = self.refused = False

    async def receive(self) -> Message:
        """The next part; after the last one, whether somebody still listens."""
        if self._complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = (
                asyncio.get_running_loop().time() + self._guard.patience.total_seconds()
            )
        try:
            message = await self._guard.next_part(self._receive, self._deadline)
            self._received += len(message.get("body", b""))
            self._guard.check(self._received)
        except ServiceError:
            self.refused = True
            # by an endpoint that wants no body and only looks whether somebody still listens
            if self.answered:
                return {"type": "http.disconnect"}
            raise
        self._complete = not message.get("more_body", False)
        return message

    def forget(self) -> None:
        """The request is answered: its bytes count no longer."""
        self._guard.forget(self._received)
