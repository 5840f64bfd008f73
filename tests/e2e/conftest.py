"""Start real stacks with scripts/up/, as `make up` does; tests observe them from outside."""

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
from testkit.suite.distribution import needs_models

TINY_ALONE = {"model": "tiny", "preview_worker": "false"}


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
            stacks.append(Stack(Path(root) / name, threads="1", **TINY_ALONE | settings))
            return stacks[-1]

        yield make
        for stack in stacks:
            end_all_of(stack)


@pytest.fixture(scope="session", autouse=True)
def loading(request: pytest.FixtureRequest) -> Iterator[Stack | None]:
    """The stack with real models, if a test needs it: it loads them beside the tests that do not,
    which come first.
    """
    if not any(map(needs_models, request.session.items)):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = Stack(Path(root) / "state", threads="1", model="tiny")
        stack.begin()
        yield stack
        end_all_of(stack)


@pytest.fixture(scope="session")
def started(loading: Stack) -> tuple[Stack, str]:
    """The stack with real models, and the id of the first job that it was given."""
    loading.wait_until_ready()
    with httpx.Client(base_url=loading.url, timeout=30) as http:
        caller = Client(http)
        caller.wait_for_models("preview", "tiny")
        return loading, caller.submit(steps=1)


@pytest.fixture(scope="session")
def real_stack(started: tuple[Stack, str]) -> Stack:
    """The one stack of a test process with real models, ToonCrafter's at toy size and the preview
    engine: for tests of what models draw. Those that share it only send jobs.
    """
    return started[0]


@pytest.fixture(scope="session")
def first_job(started: tuple[Stack, str]) -> str:
    """The id of the first job of that stack's worker."""
    return started[1]


@pytest.fixture
def client_of() -> Iterator[Callable[[Stack], Client]]:
    """A caller of a stack that runs."""
    with ExitStack() as opened:
        yield lambda stack: Client(
            opened.enter_context(httpx.Client(base_url=stack.url, timeout=30))
        )


@pytest.fixture
def client(quick_stack: Stack, client_of: Callable[[Stack], Client]) -> Client:
    """A caller of the stack that draws without torch."""
    return client_of(quick_stack)


@pytest.fixture
def real_client(real_stack: Stack, client_of: Callable[[Stack], Client]) -> Client:
    """A caller of the stack with real models."""
    return client_of(real_stack)
