"""Parse hosts and ports as an operator writes them in settings."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit


class Endpoint(NamedTuple):
    """A host, as name or literal address, and a port."""

    host: str
    port: int


def parse_endpoint(text: str) -> Endpoint:
    """Parse `host:port`, an IPv6 address in brackets.

    Raises:
        ValueError: the text has another form.
    """
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.netloc != text or "@" in text:
        raise ValueError(
            f"has to be `host:port`, such as `127.0.0.1:9000` or `[::1]:9000`, but is {text!r}"
        )
    return Endpoint(parts.hostname, parts.port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
