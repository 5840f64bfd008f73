"""Whoever is slow, or does not mean to end, holds a connection for a while and nobody else up: on
real sockets.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from api.http.connections import MAX_HEAD_BYTES
from benchmarks.load import resident_bytes
from core.objects.storage import open_storage
from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway_process
from testkit.servers import Process, RedisServer, wait_until

SOON = 20.0  # seconds: of limits of one, on a slow machine
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
ALIVE = b'{"status":"alive"}'
BIG = 8 * 2**20  # bytes, of which the system keeps a part in its buffers


class Gateway(NamedTuple):
    """A process and where it listens."""

    process: Process
    address: str
    settings: Settings

    @property
    def sockets(self) -> int:
        """How many it has open, its own way to Redis included."""
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return sum(_leads_to(link).startswith("socket:") for link in links)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare connection; what happens to it at the other end is no error."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(self.address.rpartition(":")[2]), limit=2**16
        )
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def is_healthy(self) -> bool:
        """As another client sees it."""
        async with httpx.AsyncClient(base_url=self.address, timeout=SOON) as client:
            return (await client.get("/healthz")).status_code == 200


def _leads_to(link: Path) -> str:
    with suppress(OSError):  # closed since it was listed
        return str(link.readlink())
    return ""


@pytest.fixture(scope="module")
def impatient(
    _session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """It gives a second to everything."""
    folder = tmp_path_factory.mktemp("impatient")
    settings = Settings(redis_url=_session_redis.url, state_dir=folder)
    limits = {"head_timeout": 1, "keep_alive_timeout": 1, "send_timeout": 1, "max_connections": 600}
    with gateway_process(settings, folder / "gateway.log", **limits) as (process, address):
        yield Gateway(process, address, settings)


@pytest.fixture
def crowded(settings: Settings, tmp_path: Path) -> Iterator[Gateway]:
    """It has room for three connections."""
    with gateway_process(settings, tmp_path / "gateway.log", max_connections=3) as (
        process,
        address,
    ):
        wait_until(lambda: httpx.get(f"{address}/healthz").is_success, "it answers")
        yield Gateway(process, address, settings)


async def what_is_left(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other end closes."""
    with suppress(ConnectionError):
        async with asyncio.timeout(SOON):
            return await reader.read(-1)
    return b""


async def trickle(writer: asyncio.StreamWriter, byte: bytes) -> None:
    """Send a byte now and then, never to end."""
    with suppress(ConnectionError):
        while True:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.1)


async def outcome_of_trickling(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, byte: bytes
) -> bytes:
    trickling = asyncio.create_task(trickle(writer, byte))
    try:
        return await what_is_left(reader)
    finally:
        trickling.cancel()


def refusal(answer: bytes, status: int) -> str:
    """The code of a problem document that came over a bare connection, which ends with it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} ")
    assert {"connection: close", "content-type: application/problem+json"} <= set(lines)
    document = json.loads(body)
    assert (document["status"], f"x-request-id: {document['request_id']}".lower() in lines) == (
        status,
        True,
    )
    return str(document["code"])


class TestHeads:
    """A head has to arrive whole, soon, and within its size."""

    async def test_head_that_trickles(self, impatient: Gateway) -> None:
        """However steadily: 408 after the limit. Others are served meanwhile."""
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD + b"X-Slow: ")
            outcome = asyncio.create_task(outcome_of_trickling(reader, writer, b"x"))
            assert await impatient.is_healthy()
            assert refusal(await outcome, 408) == "request_timeout"

    async def test_later_head_that_trickles(self, impatient: Gateway) -> None:
        """A connection that has proven itself is trusted no longer than a new one."""
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD + b"\r\n")
            await reader.readuntil(ALIVE)
            writer.write(HEAD)
            assert (
                refusal(await outcome_of_trickling(reader, writer, b"x"), 408) == "request_timeout"
            )

    async def test_silence(self, impatient: Gateway) -> None:
        """Closed without a word, since nothing was asked."""
        async with impatient.connection() as (reader, _):
            assert await what_is_left(reader) == b""

    async def test_idle_after_an_answer(self, impatient: Gateway) -> None:
        """The answer, then the end."""
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD + b"\r\n")
            answer = await what_is_left(reader)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(ALIVE)

    async def test_body_that_trickles_into_an_answered_request(self, impatient: Gateway) -> None:
        """Nobody reads it any more; the connection ends all the same."""
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD.replace(b"GET", b"DELETE") + b"Content-Length: 1000000\r\n\r\n")
            answer = await outcome_of_trickling(reader, writer, b"x")
            assert answer.startswith(b"HTTP/1.1 405 ")
            assert answer.count(b"HTTP/1.1") == 1

    async def test_head_without_end(self, impatient: Gateway) -> None:
        """Refused by its size, long before the time is over; one that is just within it is read."""
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD + b"X-Long: " + b"x" * (MAX_HEAD_BYTES + 2**19))
            answer = await what_is_left(reader)
            if answer:  # it is lost where the connection breaks off under the sender
                assert refusal(answer, 431) == "head_too_large"
        async with impatient.connection() as (reader, writer):
            writer.write(HEAD + b"X-Long: " + b"x" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


class TestReaders:
    """An answer waits for its reader, but not for ever."""

    async def test_readers_who_stop(self, impatient: Gateway) -> None:
        """Their connections are closed, and what was held for them is free."""
        storage, key = open_storage(impatient.settings), "jobs/job_01/outputs/1/video.mp4"
        storage.put(key, bytes(BIG), "video/mp4")
        link = storage.presigned_url(key, timedelta(hours=1), "video/mp4")
        assert await impatient.is_healthy()
        before, memory = impatient.sockets, resident_bytes(impatient.process.pid)
        async with AsyncExitStack() as stack:
            for _ in range(20):
                reader, writer = await stack.enter_async_context(impatient.connection())
                writer.write(f"GET {link} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            assert impatient.sockets > 20
            await asyncio.to_thread(
                wait_until, lambda: impatient.sockets <= before, "their connections are closed"
            )
        assert resident_bytes(impatient.process.pid) - memory < 20 * BIG / 4
        assert await impatient.is_healthy()
        assert impatient.process.output.count("reader given up") == 20

    async def test_slow_reader(self, impatient: Gateway) -> None:
        """Who takes a little all the time gets everything, though it takes much longer than the
        limit.
        """
        storage, key = open_storage(impatient.settings), "jobs/job_01/outputs/1/video.mp4"
        storage.put(key, bytes(BIG), "video/mp4")
        link = storage.presigned_url(key, timedelta(hours=1), "video/mp4")
        async with impatient.connection() as (reader, writer):
            writer.write(f"GET {link} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            left = BIG
            while left:
                left -= len(await reader.readexactly(min(left, BIG // 16)))
                await asyncio.sleep(0.2)


class TestCrowds:
    """So many connections, and no more."""

    async def test_more_than_there_is_room_for(self, crowded: Gateway) -> None:
        """Further ones hear so, far more are not even answered, and all is well again when some
        have left.
        """
        async with httpx.AsyncClient(base_url=crowded.address, timeout=SOON) as client:
            job_id = (await client.post(URL, files=files())).json()["id"]
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await watching(crowded, f"{URL}/{job_id}/events", stack)
            async with httpx.AsyncClient(base_url=crowded.address, timeout=SOON) as client:
                refused = await client.get(f"{URL}/{job_id}")
                assert problems(refused, 503, "unavailable") == {}
                assert "connections" in refused.json()["detail"]
                assert (refused.headers["connection"], "retry-after" in refused.headers) == (
                    "close",
                    True,
                )
                assert (await client.get("/healthz")).status_code == 200, (
                    "a cluster must not take it for dead"
                )
            for _ in range(3):
                await stack.enter_async_context(crowded.connection())
            async with crowded.connection() as (reader, writer):
                writer.write(HEAD + b"\r\n")
                assert await what_is_left(reader) == b""
        async with httpx.AsyncClient(base_url=crowded.address, timeout=SOON) as client:
            await until(lambda: client.get(f"{URL}/{job_id}"))

    async def test_hundreds_of_idle_ones(self, impatient: Gateway) -> None:
        """Others are served meanwhile, and the idle ones are gone soon."""
        before = impatient.sockets
        async with AsyncExitStack() as stack:
            idle = [await stack.enter_async_context(impatient.connection()) for _ in range(500)]
            assert await impatient.is_healthy()
            assert (
                await asyncio.gather(*(what_is_left(reader) for reader, _ in idle)) == [b""] * 500
            )
            await asyncio.to_thread(
                wait_until, lambda: impatient.sockets <= before, "their sockets are closed"
            )


async def watching(gateway: Gateway, path: str, stack: AsyncExitStack) -> None:
    """Open an event stream that stays open as long as the stack."""
    reader, writer = await stack.enter_async_context(gateway.connection())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    await reader.readuntil(b"event: status")


async def until(ask: Callable[[], Coroutine[Any, Any, httpx.Response]]) -> None:
    """Return once a request is answered with success."""
    async with asyncio.timeout(SOON):
        while True:
            with suppress(httpx.TransportError):
                if (await ask()).is_success:
                    return
            await asyncio.sleep(0.1)
