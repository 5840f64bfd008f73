"""Types of settings: how text from the environment becomes a checked value."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from core.endpoints import parse_endpoint


def _read_seconds(value: object) -> object:
    """Read a bare number in the environment as seconds."""
    is_number = isinstance(value, str) and value.replace(".", "", 1).isdigit()
    return float(str(value)) if is_number else value


def _read_origin(text: str) -> str:
    """Return an origin as browsers send it: lower case, no final slash, no default port."""
    parts = urlsplit(text.strip().lower())
    default_port = {"http": 80, "https": 443}.get(parts.scheme)
    if text.strip().lower().rstrip("/") != f"{parts.scheme}://{parts.netloc}" or (
        not default_port or not parts.hostname or parts.username is not None
    ):
        raise ValueError(f"must be an origin such as https://studio.example; got {text}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, default_port) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


Offload = Literal["none", "encoders", "model", "group"]
OwnHost = Annotated[str, AfterValidator(lambda text: parse_endpoint(text) and text)]  # host:port
Proxy = Annotated[str, AfterValidator(lambda text: str(ip_network(text)) and text)]
HomePath = Annotated[Path, AfterValidator(Path.expanduser)]  # `~` is the user's home
Origin = Annotated[str, AfterValidator(_read_origin)]
Seconds = Annotated[timedelta, BeforeValidator(_read_seconds)]
Canvas = Annotated[str, Field(pattern=r"^[1-9]\d*x[1-9]\d*$")]  # width x height in pixels
