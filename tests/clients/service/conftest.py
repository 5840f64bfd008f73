"""One whole service, with a worker that draws without torch, for all tests of this folder."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.stack import Stack
from testkit.servers import ROOT, free_port
from testkit.stacks import end_all_of, without_torch
from tooncrafter_client import Client

CLIENT = ROOT / "clients" / "python" / "src"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def receiver_port() -> int:
    """The port at which the stack may send webhooks."""
    return free_port()


@pytest.fixture(scope="session")
def quick_stack(receiver_port: int) -> Iterator[Stack]:
    """Its jobs take 0.05 s a step."""
    hosts = json.dumps([f"127.0.0.1:{receiver_port}"])
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = without_torch(Stack(Path(root) / "state", threads="1", allowed_hosts=hosts))
        stack.environment["CHAOS_STEP_SECONDS"] = "0.05"
        stack.start()
        yield stack
        end_all_of(stack)


@pytest.fixture
def client(quick_stack: Stack) -> Iterator[Client]:
    with Client(quick_stack.url) as client:
        yield client


@pytest.fixture
def command_line(quick_stack: Stack) -> list[str]:
    """What a shell would start, up to the arguments."""
    return [sys.executable, "-m", "tooncrafter_client"]


@pytest.fixture
def environment(quick_stack: Stack) -> dict[str, str]:
    """Of a desk where only the client is installed."""
    return {**os.environ, "PYTHONPATH": str(CLIENT), "TOONCRAFTER_URL": quick_stack.url}


@pytest.fixture
def started(
    command_line: list[str], environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command and does not wait; its stderr can be read. It ends with the test."""
    with ExitStack() as processes:

        def start(*arguments: str | Path) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*command_line, *map(str, arguments)],
                cwd=tmp_path,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield start


@pytest.fixture
def tooncrafter(command_line: list[str], environment: dict[str, str]) -> Command:
    """Runs the command as it is typed."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command_line, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=120,
        )

    return run
