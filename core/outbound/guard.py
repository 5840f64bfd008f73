"""Connect to public addresses only: the guard against requests into the operator's network.

`PublicBackend` resolves a host once, demands that all of its addresses are public, and connects to
one of those very addresses. A name server that answers differently between check and connection
therefore changes nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

import anyio
import httpcore

from core.endpoints import Endpoint
from core.outbound.addresses import is_public
from core.outbound.urls import ForbiddenUrl, UnreachableUrl

CONNECT_SECONDS = 5.0  # for the name, the connection and the TLS handshake, each
# a name server that hangs holds some of these for half a minute, and nothing else of the process
RESOLVER_THREADS = 64

Resolver = Callable[[str, int], Awaitable[list[str]]]


class SystemResolver:
    """Addresses as the machine's resolver gives them, from threads of its own."""

    def __init__(self, threads: int = RESOLVER_THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> list[str]:
        """All addresses of a host, the preferred first.

        Raises:
            OSError: the host has no address, or the lookup failed.
        """
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class PublicBackend(httpcore.AsyncNetworkBackend):
    """Connections to public addresses, and to the operator's own hosts."""

    def __init__(
        self,
        resolve: Resolver,
        allowed: frozenset[Endpoint],
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._network = network or httpcore.AnyIOBackend()

    async def addresses(self, endpoint: Endpoint) -> list[str]:
        """All addresses of a host, each of which may be connected to.

        Raises:
            ForbiddenUrl: one of them is not public.
            UnreachableUrl: there are none.
        """
        try:
            ip_address(endpoint.host)
            addresses = [endpoint.host]
        except ValueError:
            addresses = await self._ask(endpoint)
        if endpoint not in self._allowed and not all(map(is_public, addresses)):
            raise ForbiddenUrl("host resolves to a private address")
        return addresses

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers; they share the time."""
        endpoint = Endpoint(host, port)
        addresses = await self.addresses(endpoint)
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses:
            try:
                stream = await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            await self._check_peer(stream, address)
            return stream
        raise UnreachableUrl("the host does not accept connections")

    async def _ask(self, endpoint: Endpoint) -> list[str]:
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                addresses = await self._resolve(*endpoint)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            addresses = []
        if not addresses:
            raise UnreachableUrl("the host's name cannot be resolved")
        return addresses

    @staticmethod
    async def _check_peer(stream: httpcore.AsyncNetworkStream, address: str) -> None:
        """What the socket says of its other end has to be what was chosen."""
        peer = stream.get_extra_info("server_addr")
        if peer is None or ip_address(peer[0]) != ip_address(address):
            await stream.aclose()
            raise ForbiddenUrl("the connection ended at another address than the host's")
