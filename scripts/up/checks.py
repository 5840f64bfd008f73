"""Check before the start what would let a process of the stack fail again and again."""

import errno
import socket
from pathlib import Path

from core.records.offer import NAMES


class CannotStart(Exception):
    """The stack cannot start; the message says what would let it."""


def require_model(model: str | None) -> None:
    """Return if the worker can load this model.

    Raises:
        CannotStart: it names nothing, or a folder of something else.
    """
    if model is None or model in NAMES:
        return
    path = Path(model)
    if not path.exists():
        problem = "which does not exist"
    elif path.is_dir() and not (path / "model_index.json").exists():
        problem = "a folder without model_index.json"
    else:
        return
    raise CannotStart(
        f"TOONCRAFTER_MODEL is {model}, {problem}: set it to a published checkpoint file, to a "
        "diffusers folder, to `preview` or to `tiny`"
    )


def reachable(host: str) -> str:
    """Return the host as a URL on this machine names it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared only
    return f"[{host}]" if ":" in host else host


def require_port(
    host: str, port: int, who: str = "the gateway", settings: str = "TOONCRAFTER"
) -> int:
    """Return the port on which a process can listen; any free one for 0.

    Raises:
        CannotStart: it cannot; the message names the setting to change.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        is_about_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        advice = (
            f"set {settings}_PORT to another port"
            if is_about_port
            else f"set {settings}_HOST to an address of this machine"
        )
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise CannotStart(f"{who} cannot listen on {place} ({error.strerror}): {advice}") from None


def require_ports(host: str, first: int, count: int) -> list[int]:
    """Return ports for metrics in a row, from `first` on, or for 0 from wherever they are free.

    Raises:
        CannotStart: one of them is taken.
    """
    while True:
        start = require_port(host, first, "metrics", "TOONCRAFTER_METRICS")
        try:
            return [
                require_port(host, start + index, "metrics", "TOONCRAFTER_METRICS")
                for index in range(count)
            ]
        except (CannotStart, OverflowError):
            if first:
                raise
