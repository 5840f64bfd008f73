"""What the clients reach: the service that all tests share, as a desk with the client sees it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.stack import Stack
from testkit.servers import ROOT
from tooncrafter_client import Client

CLIENT = ROOT / "clients" / "python" / "src"
Command = Callable[..., subprocess.CompletedProcess[str]]


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
