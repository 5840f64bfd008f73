"""Who may call a gateway that asks for no key: this machine, and web pages that the operator named. Plain ASGI.

Without keys the browser of whoever works here is the danger. A page from elsewhere can make it send requests to a
loopback address (so `Origin` is looked at), and can give its own name that address, whereupon the browser takes the
gateway for a part of the page's own site (DNS rebinding; so `Host` is looked at).
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem_response
from core.errors import ServiceError, UntrustedHost, UntrustedOrigin

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)  # RFC 9110, section 7.2
_SHOWN_CHARACTERS = 100  # of what came

PROBES = frozenset({"/healthz", "/readyz"})  # a cluster asks them under the address of the pod; they tell no secret
_SIGNED = "/files/"  # there the signature of the link stands for a key


def proves_nothing(path: str) -> bool:
    """Whether nothing in a request to this path proves that it may be made, though it should, where no key is asked."""
    return path not in PROBES and not path.startswith(_SIGNED)


class LoopbackGuard:
    """Refuses requests under a name that is not the gateway's (421), and those of web pages of elsewhere (403)."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str],
        origins: Iterable[str],
        asks_for_no_key: Callable[[Scope], Awaitable[bool]],
    ) -> None:
        """Guard an app.

        Args:
            app: what is called if nothing is wrong.
            hosts: names without port under which the gateway may be called, beside those of the loopback interface.
            origins: `scheme://host[:port]` of web pages that may call it, beside its own.
            asks_for_no_key: whether the gateway asks for none now; a key proves more than a name does.
        """
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)
        self._asks_for_no_key = asks_for_no_key
        self._is_ours = lru_cache(maxsize=256)(self._is_one_of_ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and proves_nothing(scope["path"]) and await self._asks_for_no_key(scope):
            try:
                self._check(scope["method"], Headers(scope=scope))
            except ServiceError as error:
                return await problem_response(error, scope["state"]["request_id"])(scope, receive, send)
        return await self._app(scope, receive, send)

    def _check(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise UntrustedHost(
                f"`Host` has to be a name of this gateway but is {host[:_SHOWN_CHARACTERS]!r}; "
                "TOONCRAFTER_GATEWAY_NAMES may name more"
            )
        origin = headers.get("origin")
        if origin is None:
            trusted = headers.get("sec-fetch-site") != "cross-site" or _is_followed_link(method, headers)
        else:  # its scheme says nothing: TLS may end before the gateway
            trusted = origin.lower() in self._origins or origin.lower().partition("://")[2] == host.lower()
        if not trusted:
            raise UntrustedOrigin(
                f"a web page of {(origin or 'another site')[:_SHOWN_CHARACTERS]} may not call this gateway; "
                "TOONCRAFTER_CORS_ORIGINS may name those that may"
            )

    def _is_one_of_ours(self, host: str) -> bool:
        parts = _HOST.fullmatch(host)
        if not parts:
            return False
        name = (parts[1] or parts[2]).lower()
        if name in self._hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        with suppress(ValueError):
            return ipaddress.ip_address(name).is_loopback
        return False


def _is_followed_link(method: str, headers: Headers) -> bool:
    """A person came from another site to look: that page learns nothing of the answer."""
    return (
        method == "GET" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )
