"""HTTP/1.1 with one reading. Where a proxy may read another request than we do, callers may speak
for each other.

llhttp, below uvicorn, refuses two lengths, bare line ends and folded lines. This adds what it
leaves to servers: one `Host`; no fields behind a chunked body, which uvicorn would add to those of
the head; and an end of whatever is neither head nor body. Refusals are problem documents, as
everywhere else.
"""

from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import problem_response
from api.middleware.response_headers import DEFAULTS
from core.errors import HeadTooLarge, MalformedRequest, ServiceError
from core.records.ids import new_ulid

# of request line and headers; whatever reads them elsewhere takes 8 to 32 KiB
MAX_HEAD_BYTES = 64 * 2**10
MAX_HEAD_LINES = 100

log = structlog.get_logger("api")


class StrictProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_size = self._head_lines = self._hosts = 0
        self._in_head = True  # whether the next bytes belong to one
        self._beside = 0  # bytes since the head, or the last piece of the body
        self._wrong: ServiceError | None = None

    def data_received(self, data: bytes) -> None:
        """Parse it, and count what was neither head nor body."""
        self._beside += len(data)
        super().data_received(data)
        if not self._in_head and self._beside > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.refuse(too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = self._head_lines = self._hosts = 0
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        self._head_lines += 1
        if self._head_size > MAX_HEAD_BYTES or self._head_lines > MAX_HEAD_LINES:
            self._stop(too_large())
        if self._in_head:
            super().on_header(name, value)
            self._hosts += self.headers[-1][0] == b"host"

    def on_headers_complete(self) -> None:
        if self._hosts > 1 or (self._hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._stop(MalformedRequest(f"`Host` has to come once but came {self._hosts} times"))
        self._in_head, self._beside = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._beside = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gave up."""
        self.refuse(self._wrong or MalformedRequest("what came is not HTTP/1.1 as in RFC 9112"))

    def refuse(self, error: ServiceError) -> None:
        """Say what is wrong, unless these bytes have their answer or another one is under way, and
        close.
        """
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy if self._in_head else busy and not self.cycle.response_started:
            self._answer(error)
        self.transport.close()

    def _stop(self, error: ServiceError) -> None:
        """Let the parser give up; it passes no error on."""
        self._wrong = error
        raise httptools.HttpParserError(error.detail)

    def _answer(self, error: ServiceError) -> None:
        """Past the app, which has heard of no request."""
        answer = problem_response(error, request_id := new_ulid())
        answer.headers["X-Request-ID"], answer.headers["Connection"] = request_id, "close"
        answer.headers.update(DEFAULTS)
        lines = [b"HTTP/1.1 %d %s" % (answer.status_code, error.title.encode())]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        log.info(
            "head refused",
            request_id=request_id,
            code=error.code,
            address=self.client and self.client[0],
        )


def too_large() -> HeadTooLarge:
    """What has no end that we wait for."""
    return HeadTooLarge(
        f"request line and headers have to have at most {MAX_HEAD_BYTES} bytes in {MAX_HEAD_LINES} "
        "lines"
    )
