"""A TCP proxy in front of Redis or the storage: the network between two processes, with what may go
wrong on it.

Nothing of it needs root. What a real partition does to a connection that outlives it (bytes arrive
late, none is lost) is what `half_open` does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK = 64 * 1024


class Proxy:
    """Listens on a free port of this machine; whatever arrives there reaches the server, or does
    not.

    Args:
        connect: opens a connection to the server; its `OSError` closes the client's connection.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._open = asyncio.Event()
        self._open.set()
        self._delay_seconds = 0.0
        self._answer: bytes | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.passed_bytes = 0  # that clients have sent to the server

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def half_open(self) -> None:
        """Connections stand and new ones are accepted, but nothing comes through."""
        self._open.clear()

    def slow(self, seconds: float) -> None:
        """Delay each chunk, in both directions."""
        self._delay_seconds = seconds

    def answer(self, data: bytes) -> None:
        """Instead of the server, answer each client with this and close."""
        self._answer = data

    def heal(self) -> None:
        """All goes through again; what was held back does now."""
        self._delay_seconds, self._answer = 0.0, None
        self._open.set()

    def cut(self) -> None:
        """Reset every connection. New ones are possible at once."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._open.wait()
            with suppress(OSError):
                server_reader, server_writer = await self._connect()
                try:
                    await self._pump_both(reader, writer, server_reader, server_writer)
                finally:
                    server_writer.close()
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pump_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        """Pass on what both say, until one of them ends it."""
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer, answer_to=writer)),
            asyncio.create_task(self._pump(server_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer_to: asyncio.StreamWriter | None = None,
    ) -> None:
        while True:
            data = await reader.read(CHUNK)
            await self._open.wait()  # before the end of a stream is told, too: a partition hides it
            if not data:
                return
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            if answer_to and self._answer:
                answer_to.write(self._answer)
                await answer_to.drain()
                answer_to.write_eof()
                # closing on unread bytes would reset what was answered
                await self._read_to_the_end(reader)
                return
            if answer_to:
                self.passed_bytes += len(data)
            writer.write(data)
            await writer.drain()

    @staticmethod
    async def _read_to_the_end(reader: asyncio.StreamReader) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while await reader.read(CHUNK):
                    pass
