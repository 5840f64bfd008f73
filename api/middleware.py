"""Around every request: its id, the limit for its body, one line in the log. Plain ASGI, so streams pass untouched."""

import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.errors import problem_response, unexpected_response
from core.errors import BodyTooLarge

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # printable and free of spaces: it is logged and sent back

log = structlog.get_logger("api.access")


class RequestId:
    """Takes over or makes the request's id, returns it, and binds it to every log line.

    It is the outermost, so it also answers what nobody else caught: with the id, and with the trace logged under it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else str(ULID())
        scope.setdefault("state", {})["request_id"] = request_id
        status, begun = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                response = unexpected_response(error, request_id)
                if status:  # the answer has begun: all that is left is to break it off
                    raise
                await response(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(time.perf_counter() - begun, 4),
                )
        return None


class BodyLimit:
    """Refuses a body over the limit: by its announced length before a byte is read, else as soon as it is exceeded."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > self._max_bytes:
            response = problem_response(self._error(), scope["state"]["request_id"])
            return await response(scope, receive, send)
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._error()
            return message

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and received > self._max_bytes:
                # else the server would go on reading, and forgetting, whatever is sent
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return await self._app(scope, receive_limited, send_last)

    def _error(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body has to have at most {self._max_bytes} bytes")
