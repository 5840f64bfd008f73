"""Real stacks, started by scripts/up.py as `make up` does and looked at from outside; nothing is
patched.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from scripts.stack import Stack
from testkit.browser.chromium import CHROMIUM
from testkit.client import Client
from testkit.stacks import end_all_of


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that play a video need a browser: a desk may lack it, CI may not."""
    if item.get_closest_marker("browser") and CHROMIUM is None:
        reason = "no Chromium: `make setup-tests` installs it where root is at hand"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program; the marker `browser` has seen to it that there is one."""
    assert CHROMIUM
    return CHROMIUM


@pytest.fixture
def new_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are not started yet; what still runs after the test is ended, and all state
    is removed.
    """
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stacks: list[Stack] = []

        def make(name: str = "state", **settings: str) -> Stack:
            # the cores are shared with other tests
            stacks.append(Stack(Path(root) / name, threads="1", **settings))
            return stacks[-1]

        yield make
        for stack in stacks:
            end_all_of(stack)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack that all tests share which only send jobs."""
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = Stack(Path(root) / "state", threads="1")
        stack.start()
        yield stack
        stack.stop()


@pytest.fixture
def client_of() -> Iterator[Callable[[Stack], Client]]:
    """A caller of a stack that runs."""
    with ExitStack() as opened:
        yield lambda stack: Client(
            opened.enter_context(httpx.Client(base_url=stack.url, timeout=30))
        )


@pytest.fixture
def client(stack: Stack, client_of: Callable[[Stack], Client]) -> Client:
    return client_of(stack)
