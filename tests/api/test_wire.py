"""Requests as bytes on a real socket: offers of HTTP/2, HTTP/1.0, and two readings of one head."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from core.settings import Settings
from testkit.api.calls import URL, files
from testkit.api.gateway import gateway_process
from testkit.api.jobs import queued
from testkit.jobs import png
from testkit.servers import Process, RedisServer

Wire = Callable[..., Awaitable[bytes]]

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\n"
CLOSE = b"Connection: close\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(
    _session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, str]]:
    """One gateway for the requests of this file, which are too small to matter to each other."""
    folder = tmp_path_factory.mktemp("wire")
    settings = Settings(redis_url=_session_redis.url, state_dir=folder)
    with gateway_process(settings, folder / "gateway.log") as running:
        yield running


@pytest.fixture
async def wire(server: tuple[Process, str]) -> Wire:
    """Sends bytes and returns all that comes until the gateway closes or falls silent, or until the
    end of the one answer that is wanted.
    """

    async def send(*parts: bytes, silence: float = 3.0, one_answer: bool = False) -> bytes:
        host, _, port = server[1].removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        received = b""
        with suppress(TimeoutError, ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
            while chunk := await asyncio.wait_for(reader.read(65536), silence):
                received += chunk
                if one_answer and is_whole(received):
                    break
            else:
                received += b"<closed>"
        writer.close()
        return received

    return send


def answer(received: bytes) -> tuple[int, Any]:
    """Status and JSON of the first response."""
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body.removesuffix(b"<closed>") or b"null")


def is_whole(received: bytes) -> bool:
    """Whether an answer with a length has come to its end."""
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return length is not None and len(body) >= int(length[1])


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


class TestOfferOfHttp2:
    """RFC 9110, section 7.8: an offer that is not taken is ignored, and the body arrives."""

    @pytest.mark.parametrize("path", [URL, f"{URL}/estimate"])
    @pytest.mark.parametrize("way", ["Content-Length", "chunked"])
    async def test_submission(self, wire: Wire, path: str, way: str) -> None:
        """As Java's HttpClient and `curl --http2` send it."""
        form = httpx.Request("POST", f"http://localhost{path}", files=files())
        body = form.read()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + OFFER
        head += f"Content-Type: {form.headers['content-type']}\r\n".encode()
        if way == "chunked":
            received = await wire(
                head + b"Transfer-Encoding: chunked\r\n\r\n", chunked(body), one_answer=True
            )
        else:
            received = await wire(
                head + b"Content-Length: %d\r\n\r\n" % len(body), body, one_answer=True
            )
        status, document = answer(received)
        assert status in (200, 202), document

    @pytest.mark.parametrize("way", ["Content-Length", "chunked"])
    async def test_bytes_of_an_upload(
        self, wire: Wire, server: tuple[Process, str], way: str
    ) -> None:
        async with httpx.AsyncClient(base_url=server[1]) as client:
            upload = (await client.post("/v1/uploads")).json()
        link = upload["upload_url"].removeprefix(server[1])
        head = f"PUT {link} HTTP/1.1\r\nHost: localhost\r\n".encode() + OFFER
        if way == "chunked":
            received = await wire(
                head + b"Transfer-Encoding: chunked\r\n\r\n", chunked(png()), one_answer=True
            )
        else:
            received = await wire(
                head + b"Content-Length: %d\r\n\r\n" % len(png()), png(), one_answer=True
            )
        status, document = answer(received)
        assert (status, document.get("content_type")) == (201, "image/png"), document

    async def test_next_request_on_the_connection(self, wire: Wire) -> None:
        """The offer ends nothing."""
        received = await wire(POST + OFFER + b"Content-Length: 0\r\n\r\n", GET + CLOSE + b"\r\n")
        assert received.count(b"HTTP/1.1 ") == 2
        assert b'{"status":"alive"}' in received


class TestHttp10:
    async def test_event_stream_ends_by_closing(
        self, wire: Wire, server: tuple[Process, str]
    ) -> None:
        """Such a client knows no chunks."""
        async with httpx.AsyncClient(base_url=server[1]) as client:
            job_id = await queued(client)
            await client.post(f"{URL}/{job_id}/cancel")
        received = await wire(
            f"GET {URL}/{job_id}/events HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        )
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert body.startswith((b"retry: ", b": "))
        assert body.endswith(b"\n\n<closed>")


class TestOneReading:
    """What the server itself refuses; a proxy before a public gateway refuses more."""

    @pytest.mark.parametrize(
        "sent",
        [
            POST + b"Content-Length: 2\r\nContent-Length: 50\r\n\r\nab",
            POST + b"Content-Length: +2\r\n\r\nab",
            POST + b"Transfer-Encoding: identity\r\n\r\n",
            POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\n\r\n",
            GET + b"Host: elsewhere\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        ],
    )
    async def test_refused_and_closed(
        self, wire: Wire, server: tuple[Process, str], sent: bytes
    ) -> None:
        """Nothing behind it is read as a request."""
        received = await wire(sent + SMUGGLED)
        assert b" 400 " in received.split(b"\r\n")[0] + received[:20] or b" 501 " in received[:20]
        assert received.endswith(b"<closed>")
        assert "/smuggled" not in server[0].output

    async def test_fields_behind_a_chunked_body_are_no_part_of_the_request(
        self, wire: Wire
    ) -> None:
        """The caller was identified before they came."""
        trailer = b"0\r\nAuthorization: Bearer late\r\nX-Request-ID: late\r\n\r\n"
        received = await wire(POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n", trailer)
        assert answer(received)[0] == 201
        assert b"x-request-id: late" not in received.lower()
