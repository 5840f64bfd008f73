"""Refuse foreign host names and origins while no API key protects the gateway."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import answer_problem
from core.endpoints import is_loopback
from core.errors import ServiceError, UntrustedHost, UntrustedOrigin
from core.settings import Settings

# RFC 9110, section 7.2; a name may end in the dot of an absolute one
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?)\.?)(?::[0-9]{1,5})?", re.IGNORECASE)
_UNCHECKED = ("/healthz", "/readyz", "/files/")  # probes use the pod's address; links are signed


def needs_trusted_host(path: str) -> bool:
    """Return whether `Hosts` checks this path."""
    return not path.startswith(_UNCHECKED)


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
        if scope["type"] == "http" and needs_trusted_host(scope["path"]):
            refusal = self._refuse(Headers(scope=scope), scope["method"])
            if refusal and await scope["state"]["key_cache"].needs_no_key():
                return await answer_problem(refusal, scope, receive, send)
        return await self._app(scope, receive, send)

    def _refuse(self, headers: Headers, method: str) -> ServiceError | None:
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        parts = _HOST.fullmatch(host)
        name = (parts[1] or parts[2]) if parts else ""
        if not (name in self._names or name.endswith(".localhost") or is_loopback(name)):
            reason = "; TOONCRAFTER_GATEWAY_NAMES may list more names"
            return UntrustedHost(f"`Host` must name this gateway; got {host[:100]!r}{reason}")
        if origin is None:  # an `<img>` or a followed link, which shows the other page nothing
            followed = (method, headers.get("sec-fetch-dest")) == ("GET", "document")
            trusted = headers.get("sec-fetch-site") != "cross-site" or followed
        else:  # TLS may end before the gateway, so any scheme will do
            trusted = origin in self._origins or origin.partition("://")[2] == host
        reason = "may not call this gateway; TOONCRAFTER_CORS_ORIGINS may list those that may"
        page = (origin or "another site")[:100]
        return None if trusted else UntrustedOrigin(f"a web page of {page} {reason}")
