"""A file on this machine as an answer, whole or in parts."""

from typing import Any

from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from core.errors import RangeNotSatisfiable

RANGE_ANSWERS: dict[int | str, dict[str, Any]] = {
    206: {"description": "The part that `Range` names."}
}


class _Unreadable(Exception):
    """A `Range` that says nothing."""


class StoredFile(FileResponse):
    """With `Range` as RFC 9110, section 14.2, has it: one that cannot be read is ignored, one past
    the end refused.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 416:
                    raise _not_satisfiable(MutableHeaders(raw=message["headers"])["content-range"])
                if message["status"] == 400:
                    raise _Unreadable
            await send(message)

        try:
            await super().__call__(scope, receive, send_unless_refused)
        except _Unreadable:
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": headers}, receive, send)


def _not_satisfiable(content_range: str) -> RangeNotSatisfiable:
    length = content_range.rpartition("/")[2]
    return RangeNotSatisfiable(
        f"`Range` has to begin within the {length} bytes of the file", content_range
    )
