"""A stretch of the Internet on this machine: servers that answer as badly as a test wants, and the
way to them.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpcore

Answer = Callable[["Visit"], AsyncIterator[bytes]]


@dataclass
class Visit:
    """One request as the server saw it."""

    method: str
    resource: str
    headers: dict[str, str]
    server_name: str | None  # of the TLS handshake
    body: bytes = b""


@dataclass
class WebServer:
    """A server on loopback; an answer is whatever bytes its handler yields."""

    port: int = 0
    visits: list[Visit] = field(default_factory=list)
    connections: int = 0
    bytes_sent: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def web_server(
    answer: Answer, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[WebServer]:
    """Serve until the block ends; with TLS if a context is given, on any port if none is."""
    server = WebServer()
    server_names: list[str | None] = []
    if tls:
        tls.sni_callback = lambda _, name, __: server_names.append(name)

    serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[writer] = asyncio.current_task()
        server.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            visit = await _read_request(reader, server_names[-1] if server_names else None)
            server.visits.append(visit)
            async for chunk in answer(visit):
                writer.write(chunk)
                await writer.drain()
                server.bytes_sent += len(chunk)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for writer, task in serving.items():
            writer.transport.abort()
            if task:
                task.cancel()
        await asyncio.gather(*filter(None, serving.values()))


async def _read_request(reader: asyncio.StreamReader, server_name: str | None) -> Visit:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, resource, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:-2])
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Visit(method, resource, headers, server_name, body)


def http(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A well-formed answer; an underscore in a header's name stands for a hyphen."""
    lines = {"content_length": str(len(body)), "connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def always(*chunks: bytes) -> Answer:
    """The same to everybody."""

    async def answer(_: Visit) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return answer


def by_resource(answers: Mapping[str, bytes]) -> Answer:
    """Each path its own answer."""

    async def answer(visit: Visit) -> AsyncIterator[bytes]:
        yield answers.get(visit.resource, http(status="404 Not Found"))

    return answer


class NameServer:
    """Names to addresses. Several answers to one name are given one after the other, the last one
    for ever.
    """

    def __init__(self, **answers: Iterable[str] | list[list[str]]) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, list[Any]] = {}
        for name, answer in answers.items():
            several = list(answer)
            self._answers[name] = several if several and isinstance(several[0], list) else [several]

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        name = host.partition(".")[0]
        if name not in self._answers:
            raise OSError("Name or service not known")
        answers = self._answers[name]
        return list(answers.pop(0) if len(answers) > 1 else answers[0])


class Internet(httpcore.AsyncNetworkBackend):
    """Every public address leads to the one server, whose socket then says so."""

    def __init__(self, port: int, *, dead: Iterable[str] = (), honest: bool = False) -> None:
        self.reached: list[tuple[str, int]] = []
        self._port = port
        self._dead = set(dead)
        # the socket tells that it ends on loopback, as one that was turned around would
        self._honest = honest

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        self.reached.append((host, port))
        if host in self._dead:
            raise httpcore.ConnectError("no route to host")
        stream = await httpcore.AnyIOBackend().connect_tcp("127.0.0.1", self._port)
        return stream if self._honest else _Claiming(stream, (host, port))


class _Claiming(httpcore.AsyncNetworkStream):
    """A stream whose other end has the address that was asked for."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, peer: tuple[str, int]) -> None:
        self._stream = stream
        self._peer = peer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore's
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return await self._stream.start_tls(*args, **options)

    def get_extra_info(self, info: str) -> Any:
        return self._peer if info == "server_addr" else self._stream.get_extra_info(info)


STOP_SECONDS = 0.02  # in which a server in a thread hears that it has to end; usually half a second


@contextmanager
def answering(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """A plain server on this machine while the block runs, in a thread; its `host:port`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(STOP_SECONDS,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def hanging(_: Visit) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""
