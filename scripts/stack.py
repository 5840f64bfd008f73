"""Run a stack as a child process, for the demo and for tests from outside."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from scripts.up.readiness import is_ready

UP = Path(__file__).resolve().parent / "up"
START_LIMIT = timedelta(minutes=2)  # a busy machine may need ten times the usual 3 s
PREFIXES = ("TOONCRAFTER_", "OTEL_")  # of variables that mean something to the service
STOP_LIMIT = timedelta(minutes=2)


class StackFailed(Exception):
    """The stack did not start or stop as it should; the message ends with its last words."""


class Stack:
    """`scripts/up` in a folder and on a port of its own.

    Args:
        state: the state folder; it may hold the state of an earlier stack.
        settings: `TOONCRAFTER_*` without the prefix, in lower case. No other variable of `PREFIXES`
            reaches the stack, nor does a `.env`, so that it touches nothing but its folder.
    """

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        own = {"state_dir": str(state), "port": "0", **settings}
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)
        }
        self.environment |= {f"TOONCRAFTER_{name.upper()}": value for name, value in own.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return (self.state / "gateway.url").read_text()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return (self.state / "up.log").read_text()

    @property
    def was_started(self) -> bool:
        """Whether there is a process, alive or ended."""
        return self._process is not None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that becomes supervisord.

        Raises:
            StackFailed: it was not started.
        """
        if self._process is None:
            raise StackFailed("the stack was not started")
        return self._process

    def start(self) -> None:
        """Return as soon as the gateway is ready for jobs.

        Raises:
            StackFailed: it ended instead, or took longer than `START_LIMIT`.
        """
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """Start its processes without waiting for them."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.state / "gateway.url").unlink(missing_ok=True)
        with (self.state / "up.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", sys.executable, str(UP)],  # does not outlive us
                cwd=self.state,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C for us ends it in order, by `stop`
            )

    def wait_until_ready(self) -> None:
        """Return as soon as the gateway says that Redis and the storage answer.

        Raises:
            StackFailed: the stack ended instead, or took longer than `START_LIMIT`.
        """
        deadline = time.monotonic() + START_LIMIT.total_seconds()
        while not self._is_ready():
            if self.process.poll() is not None:
                raise StackFailed(f"the stack ended: {self.output}")
            if time.monotonic() > deadline:
                raise StackFailed(f"the stack is not ready after {START_LIMIT}: {self.output}")
            time.sleep(0.1)

    def stop(self) -> int:
        """End it in order, as Ctrl-C would, and return its exit status; nothing where it has
        ended.
        """
        self.process.terminate()
        return self.process.wait(STOP_LIMIT.total_seconds())

    def _is_ready(self) -> bool:
        try:
            return is_ready(self.url)
        except OSError:  # no address yet
            return False
