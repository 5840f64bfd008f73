"""Fetching from strangers, over real sockets and real TLS; only the way to public addresses leads
back here.
"""

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from core.outbound.fetch import Outbound
from core.outbound.urls import ForbiddenUrl, UnreachableUrl
from core.telemetry.logging import configure_logging
from testkit.outbound import OTHER, PRIVATE, PUBLIC, SOON, URL, Worlds, redirect
from testkit.web import (
    Internet,
    NameServer,
    always,
    by_resource,
    http,
    web_server,
)


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
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        chunked = head + b"4\r\ndraw\r\n3\r\ning\r\n0\r\n\r\n"
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
