"""Respond with a file of this machine, whole or the range that was requested."""

from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from core.errors import RangeNotSatisfiable


class _UnreadableRange(Exception):
    """The `Range` header is malformed."""


class StoredFile(FileResponse):
    """A file response that ignores a malformed `Range` and answers 416 to one past the end.

    RFC 9110, section 14.2, asks for this; Starlette answers 400 to a malformed one.
    """

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
