"""Let one stack at a time use a state folder."""

import fcntl
import os
import time
from pathlib import Path

from scripts.up.checks import CannotStart
from scripts.up.readiness import say

LONGEST_STOP_SECONDS = 90


def lock_stack(state: Path) -> int:
    """Take the state folder for this stack; the kernel releases it when supervisord ends.

    Raises:
        CannotStart: another stack has it.
    """
    lock = _lock(state / "stack.lock")
    if lock is None:
        raise CannotStart(
            f"a stack runs in {state} already: stop it, or choose another TOONCRAFTER_STATE_DIR"
        )
    return lock


def wait_for_earlier_processes(state: Path) -> None:
    """Wait until what a killed supervisord left has ended: two stacks may not share a folder.

    Raises:
        CannotStart: they take too long.
    """
    path = state / "processes.lock"
    deadline = time.monotonic() + LONGEST_STOP_SECONDS
    lock = _lock(path)
    if lock is None:
        say("waiting for the processes of an earlier stack in this folder, which are stopping")
    while lock is None:
        if time.monotonic() > deadline:
            raise CannotStart(
                f"processes of an earlier stack still run; `fuser -v {path}` lists them"
            )
        time.sleep(0.2)
        lock = _lock(path)
    os.close(lock)


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds an exclusive lock on the file, or None if others hold one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
