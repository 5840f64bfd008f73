"""`make up`: starting, stopping, dying and coming back."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.stack import UP, Stack, StackFailed
from testkit.client import Client
from testkit.stacks import end_all_of, is_gone, processes_of, without_torch

SLOW, QUICK = "0.1", "0"  # seconds of a step
MANY_STEPS = 60  # six slow seconds: still running when the test looks
LONG_NAME = "a-rather-long-name-for-a-folder"

NewStack = Callable[..., Stack]
ClientOf = Callable[[Stack], Client]


@pytest.fixture(scope="module")
def lasting() -> Iterator[Stack]:
    """The stack that the tests of this file end and start again, in a folder with a long path."""
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        folder = Path(root, *[LONG_NAME] * 4)
        stack = without_torch(Stack(folder, threads="1", shutdown_grace="0"))
        stack.start()
        yield stack
        end_all_of(stack)


@pytest.fixture
def running(lasting: Stack) -> Stack:
    """The same stack, started again if a test before has left it broken."""
    if lasting.process.poll() is not None:
        end_all_of(lasting)
        lasting.start()
    return lasting


@pytest.fixture
def running_slowly(running: Stack) -> Stack:
    """The same stack with slow steps, started again if a test before has made them quick."""
    if running.environment["CHAOS_STEP_SECONDS"] != SLOW:
        end_all_of(running)
        running.environment["CHAOS_STEP_SECONDS"] = SLOW
        running.start()
    return running


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_stop_amid_a_job_leaves_nothing_and_the_next_start_finishes_it(
    running_slowly: Stack, client_of: ClientOf, number: signal.Signals
) -> None:
    """Ctrl-C costs no job: one that is done is still shown, one that was running is run."""
    stack = running_slowly
    caller = client_of(stack)
    done = caller.wait(caller.submit())
    long_job = caller.submit(steps=MANY_STEPS, width=256, height=256)
    caller.wait(long_job, "running")

    stack.process.send_signal(number)
    assert stack.process.wait() == 0
    assert is_gone(stack)

    stack.environment["CHAOS_STEP_SECONDS"] = QUICK  # the job has to end, and was long enough
    stack.start()
    caller = client_of(stack)
    assert caller.job(done["id"])["outputs"][0]["sha256"] == done["outputs"][0]["sha256"]
    assert caller.wait(long_job)["status"] == "succeeded"


def test_two_stacks_run_side_by_side(
    running: Stack, client_of: ClientOf, quick_stack: Stack, client: Client
) -> None:
    """Each has its own port, Redis and folder, so neither sees the other's jobs."""
    job_id = client.submit()
    assert client_of(running).http.get(f"/v1/interpolations/{job_id}").status_code == 404
    assert running.url != quick_stack.url
    assert client.wait(job_id)["status"] == "succeeded"


def test_second_start_in_one_folder_is_refused(quick_stack: Stack) -> None:
    """Two stacks on one Redis folder would destroy it; the message says what to do."""
    second = subprocess.run(
        [sys.executable, UP],
        env=quick_stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "a stack runs in" in second.stderr
    assert "TOONCRAFTER_STATE_DIR" in second.stderr


def test_taken_port_is_named_before_anything_starts(
    new_stack: NewStack, quick_stack: Stack
) -> None:
    """Otherwise the gateway restarts over and over, seen only in its log."""
    second = new_stack(port=quick_stack.url.rsplit(":", 1)[1])
    with pytest.raises(StackFailed, match="TOONCRAFTER_PORT"):
        second.start()
    assert is_gone(second)


def test_dead_process_is_started_again(running: Stack, client_of: ClientOf) -> None:
    """A killed gateway answers again, with the same jobs."""
    caller = client_of(running)
    job_id = caller.submit()
    [gateway] = [
        process for process in processes_of(running) if process.cmdline()[-2:] == ["-m", "api"]
    ]
    gateway.kill()
    gateway.wait()
    running.wait_until_ready()
    assert caller.wait(job_id)["status"] == "succeeded"


def test_deep_folder_gets_a_guarded_port_instead_of_a_socket(
    running: Stack, client_of: ClientOf
) -> None:
    """A unix socket's path has at most 107 bytes; a checkout may lie deeper than that."""
    assert (running.state / "redis.url").read_text().startswith("redis://:")
    caller = client_of(running)
    assert caller.wait(caller.submit())["status"] == "succeeded"


def test_embedded_redis_is_kept_as_a_database(quick_stack: Stack) -> None:
    """Append-only with a sync every second, evicting nothing; only this user may read where
    it listens.
    """
    text = (quick_stack.state / "redis.conf").read_text()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(
        text.splitlines()
    )
    assert (quick_stack.state / "redis.url").stat().st_mode & 0o077 == 0


def test_killed_supervisord_takes_its_processes_along(running: Stack, client_of: ClientOf) -> None:
    """No process outlives it: the next start waits for the last one and keeps the jobs."""
    caller = client_of(running)
    done = caller.wait(caller.submit())
    running.process.kill()
    running.process.wait()

    running.start()
    assert client_of(running).job(done["id"])["status"] == "succeeded"
    running.stop()
    assert is_gone(running)
