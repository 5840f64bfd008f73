"""Who may call a gateway that asks for no key: this machine, and web pages that the operator named.

Without keys the browser of whoever works here is the danger. A page from elsewhere can make it send
requests to a loopback address (so `Origin` is looked at), and can give its own name that address,
whereupon the browser takes the gateway for a part of the page's own site (DNS rebinding; so `Host`
is looked at).
"""

import ipaddress
import re
from contextlib import suppress
from functools import lru_cache

from starlette.types import Scope

from api.http.raw_headers import header
from api.middleware.doorkeeper import Doorkeeper
from core.errors import UntrustedHost, UntrustedOrigin
from core.settings import Settings

# RFC 9110, section 7.2
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)
_SHOWN_CHARACTERS = 100  # of what came

# a cluster asks them under the address of the pod; they tell no secret
PROBES = frozenset({"/healthz", "/readyz"})
_SIGNED = "/files/"  # there the signature of the link stands for a key


def proves_nothing(path: str) -> bool:
    """Whether nothing in a request to this path proves that it may be made, though it should, where
    no key is asked.
    """
    return path not in PROBES and not path.startswith(_SIGNED)


class LoopbackGuard:
    """Refuses requests under a name that is not the gateway's, and those of web pages of
    elsewhere.
    """

    def __init__(self, settings: Settings, doorkeeper: Doorkeeper) -> None:
        """Guard a gateway.

        Args:
            settings: names beside those of the loopback interface under which the gateway may be
                called, and web pages beside its own that may call it.
            doorkeeper: knows whether the gateway asks for no key now; a key proves more than a name
                does.
        """
        public_host = settings.public_url.host if settings.public_url else None
        self._hosts = frozenset(
            name.lower() for name in [*settings.gateway_names, public_host] if name
        )
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._doorkeeper = doorkeeper
        self._is_ours = lru_cache(maxsize=256)(self._is_one_of_ours)

    async def check(self, scope: Scope) -> None:
        """Return if nothing is wrong.

        Raises:
            UntrustedHost: the name is not the gateway's (421).
            UntrustedOrigin: the page is of elsewhere (403).
        """
        if proves_nothing(scope["path"]) and await self._doorkeeper.asks_for_no_key(
            scope["state"]["api_keys"]
        ):
            self._check(scope)

    def _check(self, scope: Scope) -> None:
        host = header(scope, b"host") or ""
        if not self._is_ours(host):
            raise UntrustedHost(
                f"`Host` has to be a name of this gateway but is {host[:_SHOWN_CHARACTERS]!r}; "
                "TOONCRAFTER_GATEWAY_NAMES may name more"
            )
        origin = header(scope, b"origin")
        if origin is None:
            trusted = header(scope, b"sec-fetch-site") != "cross-site" or _is_followed_link(scope)
        else:  # its scheme says nothing: TLS may end before the gateway
            trusted = (
                origin.lower() in self._origins
                or origin.lower().partition("://")[2] == host.lower()
            )
        if not trusted:
            raise UntrustedOrigin(
                f"a web page of {(origin or 'another site')[:_SHOWN_CHARACTERS]} may not call this "
                "gateway; "
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


def _is_followed_link(scope: Scope) -> bool:
    """A person came from another site to look: that page learns nothing of the answer."""
    if scope["method"] != "GET" or header(scope, b"sec-fetch-mode") != "navigate":
        return False
    return header(scope, b"sec-fetch-dest") == "document"
