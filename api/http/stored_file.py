"""Answer with a file on this machine, whole or in parts."""

from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from core.errors import RangeNotSatisfiable


class _UnreadableRange(Exception):
    """The `Range` of the request has no meaning."""


class StoredFile(FileResponse):
    """Reads `Range` as RFC 9110, section 14.2: a malformed one is ignored, one past the end 416."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 416:
                    raise _not_satisfiable(MutableHeaders(raw=message["headers"])["content-range"])
                if message["status"] == 400:
                    raise _UnreadableRange
            await send(message)

        try:
            await super().__call__(scope, receive, send_unless_refused)
        except _UnreadableRange:
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": headers}, receive, send)


def _not_satisfiable(content_range: str) -> RangeNotSatisfiable:
    length = int(content_range.rpartition("/")[2])
    return RangeNotSatisfiable(f"`Range` must begin within the {length} bytes of the file", length)
