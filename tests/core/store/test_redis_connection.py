"""Connections to Redis: where an address leads, and what happens to one whose other end is gone."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import trustme

from core.store.connection import PipelinedConnection, open_connection, pack
from testkit.servers import RedisServer

PATIENCE = 5.0


async def answer(connection: PipelinedConnection, *words: str, seconds: float = PATIENCE) -> object:
    deadline = asyncio.get_running_loop().time() + seconds
    return await connection.send(pack(*words), deadline)


@asynccontextmanager
async def relay(
    to: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that leads to a unix socket, and an event: once set, what comes is swallowed without a
    word.
    """
    gone, serving = asyncio.Event(), set[asyncio.Task[None]]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError):
            while data := await reader.read(65536):
                if not gone.is_set():
                    writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_unix_connection(to)
        serving.update(
            map(asyncio.create_task, (pass_on(reader, to_redis), pass_on(from_redis, writer)))
        )

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listener:
        yield listener.sockets[0].getsockname()[1], gone
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


@pytest.fixture
def password(mortal_redis: RedisServer) -> Iterator[str]:
    """Without which this Redis answers nothing."""
    mortal_redis.client.config_set("requirepass", "pass word/1")
    yield "pass%20word%2F1"
    mortal_redis.client.execute_command("AUTH", "pass word/1")


class TestAddress:
    """Every part of it counts, as with redis-py."""

    async def test_database_and_password(self, mortal_redis: RedisServer, password: str) -> None:
        """Other databases do not see what is written."""
        with closing(
            await open_connection(f"unix://:{password}@{mortal_redis.socket}?db=3", PATIENCE)
        ) as third:
            assert await answer(third, "SET", "key", "of the third") == "OK"
        with closing(
            await open_connection(f"unix://default:{password}@{mortal_redis.socket}", PATIENCE)
        ) as usual:
            assert await answer(usual, "GET", "key") is None
            assert await answer(usual, "SELECT", "3") == "OK"
            assert await answer(usual, "GET", "key") == "of the third"

    async def test_wrong_password(self, mortal_redis: RedisServer, password: str) -> None:
        """The connection is refused; the error names no password."""
        with pytest.raises(ConnectionRefusedError, match="WRONGPASS") as refused:
            await open_connection(f"unix://:{password}x@{mortal_redis.socket}", PATIENCE)
        assert "pass word" not in str(refused.value)

    async def test_tcp(self, redis_server: RedisServer) -> None:
        """By host and port."""
        async with relay(redis_server.socket) as (port, _):
            with closing(
                await open_connection(f"redis://127.0.0.1:{port}/0", PATIENCE)
            ) as connection:
                assert await answer(connection, "PING") == "PONG"

    async def test_tls(self, redis_server: RedisServer, tmp_path: Path) -> None:
        """With the authority that the address names, and with no other."""
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        async with relay(redis_server.socket, context) as (port, _):
            trusting = f"rediss://localhost:{port}?ssl_ca_certs={tmp_path / 'ca.pem'}"
            with closing(await open_connection(trusting, PATIENCE)) as connection:
                assert await answer(connection, "PING") == "PONG"
            with pytest.raises(ssl.SSLCertVerificationError):
                await open_connection(f"rediss://localhost:{port}", PATIENCE)


class TestOtherEndGone:
    """Nobody waits for it without end."""

    async def test_network_that_swallows_everything(self, redis_server: RedisServer) -> None:
        """A machine that vanished closes nothing: a silent connection is given up, so that another
        one is made.
        """
        async with relay(redis_server.socket) as (port, gone):
            connection = await open_connection(f"redis://127.0.0.1:{port}", patience_seconds=0.2)
            gone.set()
            with pytest.raises(TimeoutError):
                await answer(connection, "PING", seconds=0.2)
            with pytest.raises(ConnectionError):
                await answer(connection, "PING")
            assert not connection.is_open

    async def test_answer_that_is_none(self) -> None:
        """Whatever listens there is no Redis: the connection is closed and who waits hears of
        it.
        """

        async def speak_http(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer):
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        listener = await asyncio.start_server(speak_http, "127.0.0.1", 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            connection = await open_connection(f"redis://127.0.0.1:{port}", PATIENCE)
            with suppress(ConnectionError):  # the nonsense may have come before the question
                await answer(connection, "PING")
            assert not connection.is_open

    async def test_nobody_listens(self, tmp_path: Path) -> None:
        """An error of the system, at once."""
        with pytest.raises(OSError, match="No such file"):
            await open_connection(f"unix://{tmp_path / 'nothing.sock'}", PATIENCE)
