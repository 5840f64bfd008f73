"""A server on a public Internet of its own, and a client that keeps the guard."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from core.outbound.fetch import Outbound
from testkit.web import (
    Internet,
    NameServer,
    WebServer,
    http,
)

PUBLIC = "93.184.215.14"
OTHER = "2606:4700::1111"
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


def redirect(to: str, status: str = "302 Found") -> bytes:
    return http(b"ignored", status, location=to, set_cookie="session=hunter2")
