"""What comes over a socket and has more than one reading, or no end: refused before the app hears
of it.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from api.http.connections import ConnectionLimits, protocol_within
from api.http.strict_http import MAX_HEAD_BYTES, MAX_HEAD_LINES
from testkit.servers import free_port

Wire = Callable[..., Awaitable[bytes]]
GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: localhost\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSING = POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
LIMITS = ConnectionLimits(head_timeout=30, send_timeout=30, most=100)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Echo:
    """An app that remembers what it was asked, and answers after the body."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        body = str(size).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    @property
    def paths(self) -> list[str]:
        return [scope["path"] for scope in self.scopes]


@pytest.fixture
def echo() -> Echo:
    return Echo()


@asynccontextmanager
async def serving(app: Echo) -> AsyncIterator[int]:
    port = free_port()
    config = uvicorn.Config(
        app, port=port, http=protocol_within(LIMITS), lifespan="off", log_config=None, ws="none"
    )  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110  # it has no event
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await task


@pytest.fixture
async def wire(echo: Echo) -> AsyncIterator[Wire]:
    """Sends bytes as they are, and answers all that comes back until the server ends the connection
    or falls silent.
    """
    async with serving(echo) as port:

        async def send(*parts: bytes, silence: float = 1.0) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            received = b""
            try:
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                while chunk := await asyncio.wait_for(reader.read(65536), silence):
                    received += chunk
            except (TimeoutError, ConnectionError):
                received += b"<left open>" if not writer.is_closing() else b""
            writer.close()
            return received

        yield send


def refusal(answer: bytes, status: int) -> dict[str, Any]:
    """The problem that an answer states, which is the only one, and the last on its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"connection: close" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert b"content-type: application/problem+json" in head.lower()
    assert len(re.findall(rb"HTTP/1\.1 \d{3} ", answer)) == 1
    return json.loads(body)


async def test_a_request_is_answered_and_the_next_one_too(wire: Wire, echo: Echo) -> None:
    """On one connection, one after the other or both at once."""
    both = POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"2\r\nab\r\n0\r\n\r\n"
    answer = await wire(both + GET + CLOSE + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert echo.paths == ["/a"] * 3


class TestOneReading:
    """Two lengths, two hosts, or lines that only some readers take for lines: a proxy might read
    another request.
    """

    @pytest.mark.parametrize(
        "sent",
        [
            POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            POST + b"Content-Length: 2\r\nContent-Length: 50\r\n\r\nab",
            POST + b"Content-Length: 2, 2\r\n\r\nab",
            POST + b"Content-Length: +2\r\n\r\nab",
            POST + b"Content-Length: 99999999999999999999999\r\n\r\nab",
            POST + b"Transfer-Encoding: identity\r\n\r\n",
            POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
            CHUNKED + b"2\r\nabXX0\r\n\r\n",
            CHUNKED + b"fffffffffffffffff\r\nab\r\n0\r\n\r\n",
            GET + b"X: a\r\n folded\r\n\r\n",
            GET + b"X: a\nY: b\r\n\r\n",
            GET + b"X: a\rY: b\r\n\r\n",
            GET + b"X: \0\r\n\r\n",
            b"GET /a HTTP/1.1\nHost: localhost\n\n",
            b"GET /a HTTP/1.1\r\n\r\n",
            GET + b"Host: elsewhere\r\n\r\n",
            b"get /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        ],
    )
    async def test_anything_else_is_refused_and_nothing_after_it_is_read(
        self, wire: Wire, echo: Echo, sent: bytes
    ) -> None:
        """What stands behind it is no request either."""
        assert refusal(await wire(sent + SMUGGLED), 400)["code"] == "malformed_request"
        assert "/smuggled" not in echo.paths

    async def test_old_clients_need_no_host(self, wire: Wire) -> None:
        """HTTP/1.0 had none."""
        assert b" 200 OK" in await wire(b"GET /a HTTP/1.0\r\n\r\n")

    async def test_what_follows_a_chunked_body_says_nothing_of_the_request(
        self, wire: Wire, echo: Echo
    ) -> None:
        """Its head has been judged; a key that comes later is nobody's."""
        answer = await wire(
            CLOSING + b"2\r\nab\r\n0\r\nAuthorization: Bearer late\r\nX-Trailer: x\r\n\r\n"
        )
        assert b" 200 OK" in answer
        (scope,) = echo.scopes
        assert [name for name, _ in scope["headers"]] == [
            b"host",
            b"connection",
            b"transfer-encoding",
        ]


class TestSize:
    @pytest.mark.parametrize("length", [100, MAX_HEAD_BYTES - 1000])
    async def test_up_to_the_limit(self, wire: Wire, length: int) -> None:
        assert b" 200 OK" in await wire(GET + CLOSE + b"X: " + b"a" * length + b"\r\n\r\n")

    @pytest.mark.parametrize(
        "head",
        [
            GET + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
            GET + b"X: a\r\n" * MAX_HEAD_LINES + b"\r\n",
        ],
        ids=["a long line", "many lines"],
    )
    async def test_whole_head_over_it(self, wire: Wire, echo: Echo, head: bytes) -> None:
        assert refusal(await wire(head), 431)["code"] == "head_too_large"
        assert echo.paths == []

    @pytest.mark.parametrize(
        "begun",
        [GET + b"X: ", CHUNKED + b"2\r\nab\r\n0\r\nX: ", CHUNKED + b"2;x="],
        ids=["head", "after a chunked body", "beside a chunk"],
    )
    async def test_line_that_never_ends(self, wire: Wire, begun: bytes) -> None:
        """It is given up when it is too long, not when the memory is full."""
        answer = await wire(begun, *[b"a" * 10_000] * 100)
        # broken off under the sender, the answer may be lost
        assert answer == b"" or b"head_too_large" in answer

    async def test_bodies_are_not_heads(self, wire: Wire) -> None:
        """However large they are, and in however many pieces they come."""
        body = b"a" * (4 * MAX_HEAD_BYTES)
        assert b" 200 OK" in await wire(
            POST + CLOSE + b"Content-Length: %d\r\n\r\n" % len(body), body
        )
        assert b" 200 OK" in await wire(CLOSING, *[b"1\r\na\r\n"] * 1000, b"0\r\n\r\n")
