"""Fetch from URLs that callers name; the only way out of the service to such addresses.

httpcore by itself follows no redirect, keeps no cookie, unpacks nothing, and reads neither proxies
nor passwords from the environment. `PublicBackend` gives it connections to public addresses only.
"""

import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import httpcore

from core.endpoints import parse_endpoint
from core.outbound.guard import CONNECT_SECONDS, PublicBackend, Resolver, SystemResolver
from core.outbound.urls import (
    ForbiddenUrl,
    Target,
    UnreachableUrl,
    parse_url,
)

SILENCE = timedelta(seconds=5)  # of a host that was asked
MAX_REDIRECTS = 3

_REDIRECTS = (301, 302, 303, 307, 308)


class TooLarge(ValueError):
    """The answer has more bytes than may come. The message says how many, in words that follow what
    was fetched.
    """


class Outbound:
    """Requests to URLs that came from outside. Safe to use from many tasks; close it when done."""

    def __init__(
        self,
        allowed_hosts: Iterable[str] = (),
        *,
        max_connections: int = 8,
        resolve: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """Prepare a pool; nothing is connected yet.

        Args:
            allowed_hosts: `host:port` of the operator's own, for which address, port and https
                rules are lifted.
            max_connections: requests at the same time; others wait for their turn within their own
                patience.
            resolve: names to addresses; the machine's resolver where left out.
            network: what opens sockets to addresses; the machine's own where left out.
        """
        self._allowed = frozenset(map(parse_endpoint, allowed_hosts))
        self._backend = PublicBackend(resolve or SystemResolver(), self._allowed, network)
        # no connection is kept alive, so each request resolves and checks the addresses again
        self._pool = httpcore.AsyncConnectionPool(
            network_backend=self._backend,
            max_connections=max_connections,
            max_keepalive_connections=0,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    def parse(self, url: str) -> Target:
        """Take a URL apart by the rules that need no name server.

        Raises:
            ForbiddenUrl: it breaks one.
        """
        return parse_url(url, self._allowed)

    async def check(self, url: str) -> None:
        """Judge a URL as a request to it would be judged, without connecting.

        Raises:
            ForbiddenUrl: it breaks a rule, or its host has an address that is not public.
            UnreachableUrl: its host has no address.
        """
        await self._backend.addresses(self.parse(url).endpoint)

    async def fetch(self, url: str, *, max_bytes: int, patience: timedelta) -> bytes:
        """Read what lies at a URL, through up to three redirects.

        Args:
            url: judged like every redirect on the way.
            max_bytes: the answer is given up at the first byte more.
            patience: for everything together, however steadily the bytes trickle.

        Raises:
            ForbiddenUrl: it, or where it leads to, breaks a rule.
            UnreachableUrl: there is no answer in time, or another one than 200 with plain bytes.
            TooLarge: the answer exceeds `max_bytes`.
        """
        first = url
        try:
            with anyio.fail_after(patience.total_seconds()):
                for _ in range(MAX_REDIRECTS + 1):
                    target = self.parse(url)
                    async with self.request("GET", target) as response:
                        location = _location(response)
                        if location is None:
                            return await _read_plain(response, max_bytes)
                        url = target.resolve_redirect(location)
        except TimeoutError:
            raise UnreachableUrl(
                f"the answer did not end within {patience.total_seconds():g} s"
            ) from None
        except ForbiddenUrl as refused:
            if url is first:
                raise
            raise ForbiddenUrl(f"after a redirect: {refused}") from None
        raise UnreachableUrl(f"the host redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: Target,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        *,
        silence: timedelta = SILENCE,
    ) -> AsyncIterator[httpcore.Response]:
        """One request and the head of its answer; the body may be read inside. Redirects are
        answers like others.

        Args:
            method: such as `GET`.
            target: what `parse` made of the URL.
            headers: beside `Host`, `Accept-Encoding` and `User-Agent`.
            content: the body that is sent.
            silence: how long the host may say nothing.

        Raises:
            ForbiddenUrl: the host has an address that is not public.
            UnreachableUrl: the host does not answer, or not in HTTP.
        """
        url = httpcore.URL(
            scheme=target.scheme,
            host=target.endpoint.host,
            port=target.endpoint.port,
            target=target.resource,
        )
        own = {
            "Host": target.host_header,
            "Accept-Encoding": "identity",
            "User-Agent": "tooncrafter-service",
        }
        sent = [*own.items(), *(headers or {}).items()]
        quiet = silence.total_seconds()
        timeouts = {"connect": CONNECT_SECONDS, "read": quiet, "write": quiet}
        try:
            async with self._pool.stream(
                method, url, headers=sent, content=content, extensions={"timeout": timeouts}
            ) as response:
                yield response
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise UnreachableUrl(_reason(error)) from error


def _location(response: httpcore.Response) -> str | None:
    """Where the answer redirects to; None where it does not.

    Raises:
        UnreachableUrl: it redirects without saying where.
    """
    if response.status not in _REDIRECTS:
        return None
    location = _header(response, b"location")
    if not location:
        raise UnreachableUrl(f"the host answered {response.status} without a `Location`")
    return location


async def _read_plain(response: httpcore.Response, max_bytes: int) -> bytes:
    """The body, counted while it arrives; its announced length only helps to refuse it sooner."""
    if response.status != 200:
        raise UnreachableUrl(f"the host answered {response.status} instead of 200")
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise UnreachableUrl("the host sent a compressed answer though plain bytes were asked for")
    announced = _header(response, b"content-length")
    body = bytearray()
    if announced.isdigit() and int(announced) > max_bytes:
        raise TooLarge(f"has to have at most {max_bytes} bytes but has {announced}")
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"has to have at most {max_bytes} bytes but has more")
    return bytes(body)


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value for key, value in response.headers if key.lower() == name)
    return b", ".join(values).decode("latin-1").strip()


def _reason(error: Exception) -> str:
    origin = error.__context__  # httpcore drops the cause on the way through its pool
    if isinstance(origin, ssl.SSLCertVerificationError):
        return "the host's certificate is not valid"
    if isinstance(origin, ssl.SSLError):
        return "the host does not speak TLS as it should"
    if isinstance(error, httpcore.TimeoutException):
        return "the host did not answer in time"
    return "the host broke the connection off or did not speak HTTP"
