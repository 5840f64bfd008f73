"""A public Internet with one server, its names and its certificates."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from core.outbound.fetch import Outbound
from testkit.outbound import OTHER, PUBLIC, World, Worlds
from testkit.web import (
    Answer,
    Internet,
    NameServer,
    web_server,
)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificates of these servers only."""
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
