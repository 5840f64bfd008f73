"""Bodies of fetched addresses: their size, their pace, and how they end."""

import gzip
from collections.abc import AsyncIterator
from datetime import timedelta

import anyio
import pytest

from core.outbound.fetch import TooLarge
from core.outbound.urls import UnreachableUrl
from testkit.outbound import Worlds
from testkit.web import (
    Answer,
    Visit,
    always,
    http,
)


async def endless(_: Visit) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    while True:
        yield b"x" * 1000


async def trickle(_: Visit) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    while True:
        yield b"x"
        await anyio.sleep(0.01)


async def trickling_head(_: Visit) -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"x: y\r\n"
        await anyio.sleep(0.01)


async def silent(_: Visit) -> AsyncIterator[bytes]:
    await anyio.sleep_forever()
    yield b""


class TestBodies:
    @pytest.mark.parametrize("length", [999, 1000])
    async def test_up_to_the_limit(self, world: Worlds, length: int) -> None:
        """The limit itself is fine."""
        async with world(always(http(b"x" * length))) as web:
            assert len(await web.fetch(max_bytes=1000)) == length

    async def test_announced_as_too_large(self, world: Worlds) -> None:
        """Refused by its head; nothing more is read."""
        async with world(always(http(b"x", content_length="1001"))) as web:
            with pytest.raises(TooLarge, match="at most 1000 bytes but has 1001"):
                await web.fetch(max_bytes=1000)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ],
    )
    async def test_too_large_unannounced(self, world: Worlds, head: bytes) -> None:
        """Counted while it arrives."""
        async with world(always(head, b"x" * 1001)) as web:
            with pytest.raises(TooLarge, match="at most 1000 bytes but has more"):
                await web.fetch(max_bytes=1000)

    async def test_endless(self, world: Worlds) -> None:
        """The connection is closed soon after the limit; what came further lay in the buffers of
        the machine.
        """
        async with world(endless) as web:
            with pytest.raises(TooLarge):
                await web.fetch(max_bytes=1000)
            assert web.server.bytes_sent < 20 * 2**20

    @pytest.mark.parametrize("answer", [trickle, trickling_head, silent])
    async def test_slow(self, world: Worlds, answer: Answer) -> None:
        """The whole has a time limit; a byte now and then does not extend it."""
        async with world(answer) as web:
            with pytest.raises(UnreachableUrl, match=r"did not end within 0\.3 s"):
                await web.fetch(max_bytes=10**6, patience=timedelta(seconds=0.3))

    @pytest.mark.parametrize(
        "encoding", ["gzip", "br", "zstd", "deflate", "gzip, identity", "GZIP"]
    )
    async def test_compressed(self, world: Worlds, encoding: str) -> None:
        """A kilobyte that would unpack to a megabyte is not unpacked."""
        bomb = gzip.compress(bytes(10**6))
        async with world(always(http(bomb, content_encoding=encoding))) as web:
            with pytest.raises(UnreachableUrl, match="compressed"):
                await web.fetch(max_bytes=10_000)

    @pytest.mark.parametrize(
        "status", ["404 Not Found", "403 Forbidden", "500 Oops", "204 No Content", "206 Partial"]
    )
    async def test_other_status(self, world: Worlds, status: str) -> None:
        """The page that says so is no drawing."""
        async with world(always(http(b"", status))) as web:
            with pytest.raises(UnreachableUrl, match=f"answered {status[:3]} instead of 200"):
                await web.fetch()

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"220 mail.example.com ESMTP\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnumber\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50_000,
        ],
    )
    async def test_broken(self, world: Worlds, answer: bytes) -> None:
        """Closed early, another protocol, lies about lengths, a head without end."""
        async with world(always(answer)) as web:
            with pytest.raises(UnreachableUrl):
                await web.fetch(max_bytes=10**6)
