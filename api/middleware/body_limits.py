"""Limit the size and time of each request body, and the bytes of all together."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer_problem
from core.errors import BodyTooLarge, RequestTimeout, ServiceError, Unavailable
from core.settings import Settings


class BodyLimits:
    """Refuses a body that is too large (413), too slow (408), or too much for the memory (503).

    A body is counted while it arrives, whatever length was announced, and until its request is
    answered, because an endpoint may hold it that long.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_bytes = settings.max_body
        self._max_bytes_of_all = settings.max_bodies
        self._seconds = settings.body_timeout.total_seconds()
        self._bytes_of_all = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "")
        body = _Body(self, receive, send)
        if announced.isdecimal() and int(announced[:18]) > self._max_bytes:
            body.refused = True
            return await answer_problem(self._too_large(), scope, receive, body.send)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            self._bytes_of_all -= body.size
        return None

    async def next_part(self, receive: Receive, deadline: float) -> Message:
        """Receive a part of a body.

        Raises:
            RequestTimeout: none came in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await receive()
        except TimeoutError:
            reason = f"the body must arrive within {self._seconds:.0f} s"
            raise RequestTimeout(reason) from None

    def deadline(self) -> float:
        """Return by when a body must have arrived that is first read now."""
        return asyncio.get_running_loop().time() + self._seconds

    def count(self, part: int, size: int) -> None:
        """Add a part to the bytes of all bodies.

        Args:
            part: its bytes.
            size: bytes of its body so far, this part included.

        Raises:
            BodyTooLarge: the body exceeds the limit.
            Unavailable: all bodies together do.
        """
        self._bytes_of_all += part
        if size > self._max_bytes:
            raise self._too_large()
        if self._bytes_of_all > self._max_bytes_of_all:
            raise Unavailable("the gateway's memory for request bodies is full; try again")

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body must have at most {self._max_bytes} bytes")


class _Body:
    """One body as it arrives. A refused one closes the connection, as what follows is not read."""

    def __init__(self, limits: BodyLimits, receive: Receive, send: Send) -> None:
        self.size = 0
        self.refused = False
        self._limits = limits
        self._receive = receive
        self._send = send
        self._deadline: float | None = None
        self._complete = self._answered = False

    async def receive(self) -> Message:
        """Pass the next part on; after the last one, the client's disconnect."""
        if self._complete:
            return await self._receive()
        self._deadline = self._deadline or self._limits.deadline()
        try:
            message = await self._limits.next_part(self._receive, self._deadline)
            part = len(message.get("body", b""))
            self.size += part
            self._limits.count(part, self.size)
        except ServiceError:
            self.refused = True
            if self._answered:  # a stream that only watches for the client's disconnect
                return {"type": "http.disconnect"}
            raise
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the response on."""
        self._answered = True
        if self.refused and message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)
