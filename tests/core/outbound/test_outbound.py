"""Fetching from strangers, over real sockets and real TLS; only the way to public addresses leads
back here.
"""

import asyncio
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
import trustme

from core.outbound.fetch import Outbound, TooLarge
from core.outbound.urls import ForbiddenUrl, UnreachableUrl
from core.telemetry.logging import configure_logging
from testkit.web import (
    Answer,
    Internet,
    NameServer,
    Visit,
    WebServer,
    always,
    by_resource,
    http,
    web_server,
)

PUBLIC, OTHER = "93.184.215.14", "2606:4700::1111"
URL = "https://images.example.com/a.png"
SOON = timedelta(seconds=20)  # only ends a hang
PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fd00:ec2::254",
    "::ffff:10.0.0.1",
]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificates of these servers, and of nobody else."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server that can prove three names and an address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ("images.example.com", "cdn.example.com", "studio.example.com", "127.0.0.1", PUBLIC)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator makes an authority of the studio's own trusted."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


class World:
    """A server on the public Internet, the names of its hosts, and a client with the guard."""

    def __init__(
        self, server: WebServer, names: NameServer, internet: Internet, outbound: Outbound
    ) -> None:
        self.server, self.names, self.internet, self._outbound = server, names, internet, outbound

    async def fetch(
        self, url: str = URL, *, max_bytes: int = 1000, patience: timedelta = SOON
    ) -> bytes:
        return await self._outbound.fetch(url, max_bytes=max_bytes, patience=patience)

    async def check(self, url: str) -> None:
        await self._outbound.check(url)


Worlds = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def world(tls: ssl.SSLContext, trusted: None) -> Worlds:
    @asynccontextmanager
    async def world(
        answer: Answer,
        names: NameServer | None = None,
        *,
        dead: tuple[str, ...] = (),
        honest: bool = False,
    ) -> AsyncIterator[World]:
        names = names or NameServer(images=[PUBLIC], cdn=[OTHER], private=["10.0.0.1"])
        async with web_server(answer, tls) as server:
            internet = Internet(server.port, dead=dead, honest=honest)
            outbound = Outbound(resolve=names, network=internet)
            yield World(server, names, internet, outbound)
            await outbound.close()

    return world


class TestFetch:
    async def test_goes_to_the_address_under_the_name(self, world: Worlds) -> None:
        """The socket goes to what was checked; TLS and the server see the host's name."""
        async with world(always(http(b"drawing"))) as web:
            assert await web.fetch(f"{URL}?sig=a%2Fb") == b"drawing"
            (visit,) = web.server.visits
            assert web.internet.reached == [(PUBLIC, 443)]
            assert web.names.asked == ["images.example.com"]
            assert (visit.method, visit.resource, visit.server_name) == (
                "GET",
                "/a.png?sig=a%2Fb",
                "images.example.com",
            )
            assert visit.headers == {
                "host": "images.example.com",
                "accept-encoding": "identity",
                "user-agent": "tooncrafter-service",
            }

    async def test_next_address_where_the_first_is_dead(self, world: Worlds) -> None:
        """A host whose IPv6 is broken is reached by its IPv4 address."""
        async with world(
            always(http(b"drawing")), NameServer(images=[OTHER, PUBLIC]), dead=(OTHER,)
        ) as web:
            assert await web.fetch() == b"drawing"
            assert web.internet.reached == [(OTHER, 443), (PUBLIC, 443)]

    async def test_chunked_answer(self, world: Worlds) -> None:
        """Without an announced length."""
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ndraw\r\n3\r\ning\r\n0\r\n\r\n"
        async with world(always(chunked)) as web:
            assert await web.fetch() == b"drawing"

    async def test_plain_address(self, world: Worlds) -> None:
        """No name server is asked; the certificate has to hold the address."""
        async with world(always(http(b"drawing"))) as web:
            assert await web.fetch(f"https://{PUBLIC}/a.png") == b"drawing"
            assert web.names.asked == []

    async def test_environment_has_no_say(
        self, world: Worlds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Neither a proxy, which would resolve the name itself, nor a password file."""
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        (tmp_path / "netrc").write_text("machine images.example.com login me password hunter2\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        async with world(always(http(b"drawing"))) as web:
            assert await web.fetch() == b"drawing"
            assert "authorization" not in web.server.visits[0].headers


class TestAddresses:
    @pytest.mark.parametrize("address", PRIVATE)
    async def test_name_of_a_private_address(self, world: Worlds, address: str) -> None:
        """Nothing is connected, and the answer does not tell which address it is."""
        async with world(always(http()), NameServer(images=[address])) as web:
            for call in (web.fetch, web.check):
                with pytest.raises(ForbiddenUrl, match="resolves to a private address") as refused:
                    await call(URL)
                assert address not in str(refused.value)
            assert web.internet.reached == []

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"]
    )
    async def test_private_address_itself(self, world: Worlds, host: str) -> None:
        """Written out."""
        async with world(always(http())) as web:
            for call in (web.fetch, web.check):
                with pytest.raises(ForbiddenUrl):
                    await call(f"https://{host}/latest/meta-data/")
            assert web.internet.reached == []

    @pytest.mark.parametrize(
        "answers", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [OTHER, PUBLIC, "::1"]]
    )
    async def test_mixed_answers(self, world: Worlds, answers: list[str]) -> None:
        """One private address among public ones spoils them all."""
        async with world(always(http()), NameServer(images=answers)) as web:
            with pytest.raises(ForbiddenUrl):
                await web.fetch()
            assert web.internet.reached == []

    async def test_answer_that_changes_after_the_check(self, world: Worlds) -> None:
        """Every connection judges the answer that it uses."""
        async with world(always(http()), NameServer(images=[[PUBLIC], ["127.0.0.1"]])) as web:
            await web.check(URL)
            with pytest.raises(ForbiddenUrl):
                await web.fetch()
            assert web.internet.reached == []

    async def test_answer_that_changes_before_the_connection(self, world: Worlds) -> None:
        """There is one answer: what was judged is what is connected to."""
        async with world(
            always(http(b"drawing")), NameServer(images=[[PUBLIC], ["127.0.0.1"]])
        ) as web:
            assert await web.fetch() == b"drawing"
            assert web.internet.reached == [(PUBLIC, 443)]

    async def test_socket_that_ends_elsewhere(self, world: Worlds) -> None:
        """Looked at before a byte is sent, the TLS greeting included."""
        async with world(always(http()), honest=True) as web:
            with pytest.raises(ForbiddenUrl, match="another address"):
                await web.fetch()
            assert web.internet.reached == [(PUBLIC, 443)]
            assert web.server.visits == []

    async def test_name_that_nobody_knows(self, world: Worlds) -> None:
        """Not forbidden, only not there."""
        async with world(always(http())) as web:
            for call in (web.fetch, web.check):
                with pytest.raises(UnreachableUrl, match="cannot be resolved"):
                    await call("https://absent.example.com/")

    async def test_machines_own_resolver(self) -> None:
        """What runs in production; `localhost` needs no name server."""
        outbound = Outbound(["localhost:9"])
        await outbound.check("http://localhost:9/")
        with pytest.raises(UnreachableUrl, match="does not accept connections"):
            await outbound.fetch("http://localhost:9/", max_bytes=1, patience=SOON)
        await outbound.close()


class TestTls:
    async def test_certificate_of_another_host(self, world: Worlds) -> None:
        """The name that was asked for counts, not the address."""
        async with world(always(http()), NameServer(other=[PUBLIC])) as web:
            with pytest.raises(UnreachableUrl, match="certificate is not valid"):
                await web.fetch("https://other.example.com/")
            assert web.server.visits == []

    async def test_certificate_of_an_unknown_authority(self, tls: ssl.SSLContext) -> None:
        """Signed by somebody whom this machine does not trust."""
        async with web_server(always(http()), tls) as server:
            outbound = Outbound(resolve=NameServer(images=[PUBLIC]), network=Internet(server.port))
            with pytest.raises(UnreachableUrl, match="certificate is not valid"):
                await outbound.fetch(URL, max_bytes=1, patience=SOON)
            await outbound.close()

    async def test_server_without_tls(self, trusted: None) -> None:
        """Another protocol on port 443."""

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example.com ESMTP\r\n")
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            internet = Internet(server.sockets[0].getsockname()[1])
            outbound = Outbound(resolve=NameServer(images=[PUBLIC]), network=internet)
            with pytest.raises(UnreachableUrl, match="does not speak TLS"):
                await outbound.fetch(URL, max_bytes=1, patience=SOON)
            await outbound.close()


def redirect(to: str, status: str = "302 Found") -> bytes:
    return http(b"ignored", status, location=to, set_cookie="session=hunter2")


class TestRedirects:
    @pytest.mark.parametrize(
        "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
    )
    async def test_is_followed_to_another_host(self, world: Worlds, status: str) -> None:
        """With its own name server answer, and without what the first host set."""
        answers = {
            "/a.png": redirect("https://cdn.example.com/b.png?x=1", status),
            "/b.png?x=1": http(b"drawing"),
        }
        async with world(by_resource(answers)) as web:
            assert await web.fetch() == b"drawing"
            assert web.internet.reached == [(PUBLIC, 443), (OTHER, 443)]
            first, last = web.server.visits
            assert (last.server_name, last.headers["host"]) == (
                "cdn.example.com",
                "cdn.example.com",
            )
            assert first.headers.keys() == last.headers.keys()

    async def test_relative_ones_up_to_three(self, world: Worlds) -> None:
        """The fourth is one too many."""
        answers = {
            "/a.png": redirect("/1"),
            "/1": redirect("2"),
            "/2": redirect("//cdn.example.com/3"),
        }
        async with world(by_resource(answers | {"/3": http(b"drawing")})) as web:
            assert await web.fetch() == b"drawing"
        async with world(by_resource(answers | {"/3": redirect("/4")})) as web:
            with pytest.raises(UnreachableUrl, match="more than 3 times"):
                await web.fetch()
            assert [visit.resource for visit in web.server.visits] == ["/a.png", "/1", "/2", "/3"]

    @pytest.mark.parametrize(
        "location",
        [
            *(
                "https://private.example.com/",
                "https://127.0.0.1/",
                "https://[::ffff:7f00:1]/",
                "https://localhost/",
            ),
            *(
                "http://images.example.com/",
                "https://images.example.com:8443/",
                "https://u:p@images.example.com/",
            ),
            *(
                "file:///etc/passwd",
                "//169.254.169.254/latest",
                "https://2130706433/",
                "https://x\\@127.0.0.1/",
            ),
        ],
    )
    async def test_to_where_no_request_may_go(self, world: Worlds, location: str) -> None:
        """Each hop is judged like the first; where it leads to is not told."""
        async with world(always(redirect(location))) as web:
            with pytest.raises(ForbiddenUrl, match="after a redirect") as refused:
                await web.fetch()
            assert len(web.internet.reached) == 1
            assert location not in str(refused.value)

    async def test_without_a_place(self, world: Worlds) -> None:
        """A 302 that says nothing."""
        async with world(always(http(status="302 Found"))) as web:
            with pytest.raises(UnreachableUrl, match="without a `Location`"):
                await web.fetch()


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


class TestAllowedHosts:
    async def test_http_on_a_private_address_and_port(self) -> None:
        """For receivers inside the studio."""
        async with web_server(always(http(b"drawing"))) as server:
            outbound = Outbound([f"127.0.0.1:{server.port}"])
            await outbound.check(f"{server.url}/a.png")
            assert (
                await outbound.fetch(f"{server.url}/a.png", max_bytes=1000, patience=SOON)
                == b"drawing"
            )
            assert server.visits[0].headers["host"] == f"127.0.0.1:{server.port}"
            await outbound.close()

    async def test_name_with_tls_and_an_authority_of_its_own(
        self, tls: ssl.SSLContext, trusted: None
    ) -> None:
        """Addresses are free, certificates are not."""
        async with web_server(always(http(b"drawing")), tls) as server:
            host = f"studio.example.com:{server.port}"
            outbound = Outbound([host], resolve=NameServer(studio=["127.0.0.1"]))
            assert (
                await outbound.fetch(f"https://{host}/a.png", max_bytes=1000, patience=SOON)
                == b"drawing"
            )
            (visit,) = server.visits
            assert (visit.server_name, visit.headers["host"]) == ("studio.example.com", host)
            await outbound.close()

    async def test_no_other_port_of_the_host(self) -> None:
        """Redis listens there."""
        async with web_server(always(http())) as server, web_server(always(http())) as neighbour:
            outbound = Outbound([f"127.0.0.1:{server.port}"])
            with pytest.raises(ForbiddenUrl):
                await outbound.fetch(neighbour.url, max_bytes=1000, patience=SOON)
            assert neighbour.connections == 0
            await outbound.close()

    @pytest.mark.parametrize("entry", ["127.0.0.1", "http://127.0.0.1:9000", "127.0.0.1:9000/x"])
    def test_entry_that_is_no_host_and_port(self, entry: str) -> None:
        """A process with such a setting does not start."""
        with pytest.raises(ValueError, match="has to be `host:port`"):
            Outbound([entry])


@pytest.fixture
def debug_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    configure_logging("debug", "json")
    logging.getLogger().addHandler(caplog.handler)
    return caplog


async def test_secrets_of_urls_are_in_no_log(
    world: Worlds, debug_log: pytest.LogCaptureFixture
) -> None:
    """Not at the most talkative level, not for a redirect, not when it fails."""
    answers = {"/a.png?sig=hunter2": redirect("https://cdn.example.com/b.png?token=hunter2")}
    async with world(by_resource(answers)) as web:
        with pytest.raises(UnreachableUrl) as refused:
            await web.fetch(f"{URL}?sig=hunter2")
        assert len(web.server.visits) == 2
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in debug_log.text
