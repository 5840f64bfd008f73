"""The processes that a gateway is measured with: Redis, the gateway, and an endpoint that does the
least.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Call, answer
from testkit.servers import Process, RedisServer, free_port, wait_until


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP on this machine."""

    pid: int
    port: int


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A Redis with its data in a folder of this one."""
    (folder / "redis").mkdir()
    server = RedisServer(folder / "redis")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def gateway_server(
    folder: Path, redis_url: str, variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A gateway without limits of waiting jobs; with further variables of its
    environment.
    """
    port = free_port()
    settings = {
        "STATE_DIR": str(folder),
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    settings |= {"MAX_QUEUED": "1000000", "TENANT_MAX_QUEUED": "1000000"}
    environment = {
        **os.environ,
        **{f"TOONCRAFTER_{name}": value for name, value in settings.items()},
        **(variables or {}),
    }
    yield from _serve(
        [sys.executable, "-m", "api"], port, "/healthz", folder / "gateway.log", environment
    )


@contextmanager
def bare_server(folder: Path, redis_url: str) -> Iterator[Server]:
    """What the gateway is measured against."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.processes.bare_gateway", str(port), redis_url]
    yield from _serve(command, port, "/openapi.json", folder / "bare.log", dict(os.environ))


def _serve(
    command: list[str | Path], port: int, path: str, log: Path, env: dict[str, str]
) -> Iterator[Server]:
    with Process(command, log, env) as process:
        wait_until(lambda: _answers(port, path), f"{path} answers")
        yield Server(process.pid, port)


def _answers(port: int, path: str) -> bool:
    try:
        answer(port, Call("GET", path, expects=200))
    except OSError:
        return False
    return True
