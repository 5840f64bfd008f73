"""Refuse requests under another host name or from another site while no API key protects."""

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import answer_problem
from core.errors import ServiceError, UntrustedHost, UntrustedOrigin
from core.settings import Settings

# RFC 9110, section 7.2; a name may end in the dot of an absolute one
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::[0-9]{1,5})?", re.IGNORECASE)
_SHOWN_CHARACTERS = 100  # of a refused value
_PROBES = frozenset({"/healthz", "/readyz"})  # a cluster calls them by the pod's address


def needs_trusted_host(path: str) -> bool:
    """Return whether `Hosts` checks this path; elsewhere a signature or nothing is at stake."""
    return path not in _PROBES and not path.startswith("/files/")


class Hosts:
    """Checks `Host` and `Origin` of a gateway without keys, which any local browser reaches.

    A page of another site can send requests to a loopback address (hence `Origin`), and can give
    that address a name of its own, so that the browser takes both for one site (DNS rebinding,
    hence `Host`).
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        public_host = settings.public_url.host if settings.public_url else None
        self._names = {name.lower() for name in [*settings.gateway_names, public_host] if name}
        self._origins = set(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not needs_trusted_host(scope["path"]):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refusal = self._refuse_host(headers) or self._refuse_origin(scope, headers)
        if refusal and await scope["state"]["key_cache"].needs_no_key():
            return await answer_problem(refusal, scope, receive, send)
        return await self._app(scope, receive, send)

    def _refuse_host(self, headers: Headers) -> ServiceError | None:
        host = headers.get("host", "")
        parts = _HOST.fullmatch(host)
        name = (parts[1] or parts[2]).lower() if parts else ""
        if name in self._names or name.endswith(".localhost") or is_loopback(name):
            return None
        return UntrustedHost(
            f"`Host` must be a name of this gateway; got {host[:_SHOWN_CHARACTERS]!r}. "
            "TOONCRAFTER_GATEWAY_NAMES may list more names"
        )

    def _refuse_origin(self, scope: Scope, headers: Headers) -> ServiceError | None:
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site") != "cross-site" or _is_followed_link(scope, headers):
                return None
        elif origin in self._origins:
            return None
        elif origin.partition("://")[2] == headers.get("host", "").lower():
            return None  # the gateway's own page; TLS may end before it, so any scheme will do
        return UntrustedOrigin(
            f"a web page of {(origin or 'another site')[:_SHOWN_CHARACTERS]} may not call this "
            "gateway. TOONCRAFTER_CORS_ORIGINS may list those that may"
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_followed_link(scope: Scope, headers: Headers) -> bool:
    """A person followed a link; the page that held it learns nothing of the response."""
    return (scope["method"], headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "GET",
        "navigate",
        "document",
    )
