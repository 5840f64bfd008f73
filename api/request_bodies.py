"""Limits of what comes in: the size of one body, the time it takes, and the bytes of all at once. Plain ASGI."""

import asyncio
from datetime import timedelta

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response
from core.errors import BodyTooLarge, RequestTimeout, ServiceError, Unavailable


class BodyGuard:
    """Refuses a body that is too large (413), too slow (408), or one too many for the memory (503).

    A body is measured as it comes, whatever length was announced; only one that is announced as too large is refused
    before a byte is read. What has come counts until the request is answered, since somebody may hold it so long.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_bytes_of_all: int, patience: timedelta) -> None:
        """Guard an app.

        Args:
            app: reads the bodies.
            max_bytes: of one body.
            max_bytes_of_all: of the bodies of all requests that are not answered yet.
            patience: with one body, from the first look at it to its end.
        """
        self._app = app
        self._max_bytes = max_bytes
        self._max_bytes_of_all = max_bytes_of_all
        self.patience = patience
        self._bytes_of_all = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        announced = headers.get("content-length")
        if announced is None:
            if "transfer-encoding" not in headers:  # then there is no body (RFC 9112, section 6.3)
                return await self._app(scope, receive, send)
        elif announced.isdigit() and int(announced) > self._max_bytes:
            response = problem_response(self._too_large(), scope["state"]["request_id"])
            response.headers["Connection"] = "close"  # nobody will read what comes nevertheless
            return await response(scope, receive, send)
        body = _Body(self, receive, send)
        try:
            return await self._app(scope, body.receive, body.send)
        finally:
            self._bytes_of_all -= body.received

    async def next_part(self, receive: Receive, deadline: float) -> Message:
        """A part of a body, counted with all others.

        Raises:
            RequestTimeout: none came in time.
        """
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise RequestTimeout(f"the body has to arrive within {self.patience.total_seconds():.0f} s") from None
        self._bytes_of_all += len(message.get("body", b""))
        return message

    def check(self, received: int) -> None:
        """Raise what is wrong once so many bytes of a body have come."""
        if received > self._max_bytes:
            raise self._too_large()
        if self._bytes_of_all > self._max_bytes_of_all:
            raise Unavailable("the gateway holds as many large bodies as its memory allows; try again")

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body has to have at most {self._max_bytes} bytes")


class _Body:
    """One body as it comes, and what is sent in answer to it."""

    def __init__(self, guard: BodyGuard, receive: Receive, send: Send) -> None:
        self._guard = guard
        self._receive = receive
        self._send = send
        self.received = 0
        self._deadline: float | None = None
        self._complete = self._refused = self._answered = False

    async def receive(self) -> Message:
        """The next part; after the last one, whether somebody still listens."""
        if self._complete:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._guard.patience.total_seconds()
        try:
            message = await self._guard.next_part(self._receive, self._deadline)
            self.received += len(message.get("body", b""))
            self._guard.check(self.received)
        except ServiceError:
            self._refused = True
            if self._answered:  # by an endpoint that wants no body and only looks whether somebody still listens
                return {"type": "http.disconnect"}
            raise
        self._complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Close the connection behind a refusal: the server would go on reading, and forgetting, whatever comes."""
        if message["type"] == "http.response.start":
            self._answered = True
            if self._refused:
                MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)
