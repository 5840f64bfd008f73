"""`make up`: starting, stopping, dying and coming back."""

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from scripts.stack import UP, Stack, StackFailed
from testkit.client import Client
from testkit.stacks import is_gone, processes_of

MANY_STEPS = 60  # still running when the test looks


NewStack = Callable[..., Stack]
ClientOf = Callable[[Stack], Client]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_amid_a_job_leaves_nothing_and_the_next_start_finishes_it(
    new_stack: NewStack, client_of: ClientOf, number: signal.Signals
) -> None:
    """Ctrl-C costs no job: one that is done is still shown, one that was running is run."""
    stack = new_stack(shutdown_grace="0")
    stack.start()
    caller = client_of(stack)
    done = caller.wait(caller.submit())
    running = caller.submit(steps=MANY_STEPS, width=256, height=256)
    caller.wait(running, "running")

    stack.process.send_signal(number)
    assert stack.process.wait() == 0
    assert is_gone(stack)

    stack.start()
    caller = client_of(stack)
    assert caller.job(done["id"])["outputs"][0]["sha256"] == done["outputs"][0]["sha256"]
    assert caller.wait(running)["status"] == "succeeded"


def test_two_stacks_run_side_by_side(
    new_stack: NewStack, client_of: ClientOf, stack: Stack, client: Client
) -> None:
    """Each has its own port, Redis and folder, so neither sees the other's jobs."""
    second = new_stack()
    second.start()
    job_id = client.submit()
    assert client_of(second).http.get(f"/v1/interpolations/{job_id}").status_code == 404
    assert second.url != stack.url
    assert client.wait(job_id)["status"] == "succeeded"


def test_second_start_in_one_folder_is_refused(stack: Stack) -> None:
    """Two stacks on one Redis folder would destroy it; the message says what to do."""
    second = subprocess.run(
        [sys.executable, UP], env=stack.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "a stack runs in" in second.stderr
    assert "TOONCRAFTER_STATE_DIR" in second.stderr


def test_taken_port_is_named_before_anything_starts(new_stack: NewStack, stack: Stack) -> None:
    """The gateway would fail over and over in a log that nobody reads."""
    second = new_stack(port=stack.url.rsplit(":", 1)[1])
    with pytest.raises(StackFailed, match="TOONCRAFTER_PORT"):
        second.start()
    assert is_gone(second)


def test_killed_supervisord_takes_its_processes_along(
    new_stack: NewStack, client_of: ClientOf
) -> None:
    """No orphan keeps the folder: the next start waits for the last one and goes on with the same
    jobs.
    """
    stack = new_stack()
    stack.start()
    caller = client_of(stack)
    done = caller.wait(caller.submit())
    stack.process.kill()
    stack.process.wait()

    stack.start()
    assert client_of(stack).job(done["id"])["status"] == "succeeded"
    stack.stop()
    assert is_gone(stack)


def test_dead_process_is_started_again(new_stack: NewStack, client_of: ClientOf) -> None:
    """The stack mends itself: a killed gateway answers again, with the same jobs."""
    stack = new_stack()
    stack.start()
    caller = client_of(stack)
    job_id = caller.submit()
    [gateway] = [
        process for process in processes_of(stack) if process.cmdline()[-2:] == ["-m", "api"]
    ]
    gateway.kill()
    gateway.wait()
    stack.wait_until_ready()
    assert caller.wait(job_id)["status"] == "succeeded"


def test_deep_folder_gets_a_guarded_port_instead_of_a_socket(
    new_stack: NewStack, client_of: ClientOf
) -> None:
    """A unix socket's path has at most 107 bytes; a checkout may lie deeper than that."""
    stack = new_stack("/".join(["a-rather-long-name-for-a-folder"] * 4))
    stack.start()
    assert (stack.state / "redis.url").read_text().startswith("redis://:")
    caller = client_of(stack)
    assert caller.wait(caller.submit())["status"] == "succeeded"


def test_embedded_redis_is_kept_as_a_database(stack: Stack) -> None:
    """Append-only with a sync every second, evicting nothing; nobody but this user may read where
    it listens.
    """
    text = (stack.state / "redis.conf").read_text()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(
        text.splitlines()
    )
    assert (stack.state / "redis.url").stat().st_mode & 0o077 == 0
