"""Parse untrusted URLs so strictly that no later parser can read them differently.

One parser decides what is connected to: what comes out of `parse_url` is used for the check, the
connection, the TLS name and the `Host` header alike. What libraries understand differently
(user-info, backslashes, Unicode hosts, numeric hosts in other bases, trailing dots) is refused
instead of understood.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from core.endpoints import Endpoint

MAX_URL = 4096  # characters; a presigned link with a session token has about 2,000
PORTS = {"https": 443, "http": 80}

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")  # RFC 3986
_NO_AUTHORITY = "the URL has to have one host, and a port of at most 65535 if any"
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
# a last label of this form makes many resolvers read an IPv4 address
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Zones that no public name lies in: RFC 6761, 6762, 7686, 8375, and ICANN's `internal`. Asking for
# them only tells what exists inside.
_INSIDE_ZONES = (
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "onion",
    "invalid",
    "test",
    "example",
)


class UrlRefused(ValueError):
    """The URL is refused. The message is shown to the caller and discloses no internal address."""

    code: str


class ForbiddenUrl(UrlRefused):
    """The URL breaks a rule; nothing was sent to it."""

    code = "forbidden_url"


class UnreachableUrl(UrlRefused):
    """The URL is allowed, but its host does not answer with what was asked for."""

    code = "unreachable_url"


@dataclass(frozen=True)
class Target:
    """A URL in its parts. Path and query may hold secrets, so they stay out of its `repr`."""

    scheme: str
    endpoint: Endpoint
    resource: str = field(repr=False)  # path and query, as they go into the request line

    @property
    def host_header(self) -> str:
        """Host and, unless it is the scheme's own, port."""
        host, port = self.endpoint
        name = f"[{host}]" if ":" in host else host
        return name if port == PORTS[self.scheme] else f"{name}:{port}"

    def resolve_redirect(self, location: str) -> str:
        """The URL that a `Location` means when it is answered here."""
        return urljoin(f"{self.scheme}://{self.host_header}{self.resource}", location)


def parse_url(url: str, allowed: Collection[Endpoint] = ()) -> Target:
    """Take a URL apart and apply every rule that needs no name server.

    Args:
        url: as it was sent.
        allowed: hosts of the operator's own, for which http, other ports and inside names are fine.

    Raises:
        ForbiddenUrl: it breaks a rule, which the message names without repeating the URL.
    """
    if len(url) > MAX_URL:
        raise ForbiddenUrl(f"the URL has to have at most {MAX_URL} characters but has {len(url)}")
    if not _CHARACTERS.fullmatch(url):
        raise ForbiddenUrl(
            "the URL has to be ASCII as in RFC 3986: percent-encode all else, write a host as "
            "`xn--…`"
        )
    scheme, authority, host, port, resource = _parts(url)
    if scheme not in PORTS:
        raise ForbiddenUrl("the URL has to begin with `https://`")
    if "@" in authority:
        raise ForbiddenUrl("the URL has to be without user and password")
    if not _AUTHORITY.fullmatch(authority):
        raise ForbiddenUrl(_NO_AUTHORITY)
    endpoint = Endpoint(host, PORTS[scheme] if port is None else port)
    if endpoint not in allowed:
        _check_endpoint(scheme, endpoint)
    return Target(scheme, endpoint, resource)


def _parts(url: str) -> tuple[str, str, str, int | None, str]:
    """Scheme, authority as sent, host, port, and path with query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ForbiddenUrl(_NO_AUTHORITY) from None
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.netloc, host, port, resource


def _check_endpoint(scheme: str, endpoint: Endpoint) -> None:
    if scheme != "https":
        raise ForbiddenUrl("the URL has to begin with `https://`")
    if endpoint.port != PORTS["https"]:
        raise ForbiddenUrl(f"the port has to be {PORTS['https']} but is {endpoint.port}")
    if not (_is_address(endpoint.host) or _is_public_name(endpoint.host)):
        raise ForbiddenUrl("the host has to be a public name or a plain IP address")


def _is_address(host: str) -> bool:
    """In its one usual form: four decimal numbers, or IPv6 without a zone."""
    if not (_IPV4.fullmatch(host) or ":" in host):
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _is_public_name(host: str) -> bool:
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return False
    inside = any(host.endswith(f".{zone}") for zone in _INSIDE_ZONES)
    return not inside and not _NUMBER.fullmatch(labels[-1])
