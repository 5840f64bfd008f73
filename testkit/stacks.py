"""Processes of whole stacks."""

import os
import time

import psutil

from scripts.stack import Stack
from testkit.chaos.service.stack import INJECTED
from testkit.servers import ROOT


def processes_of(stack: Stack) -> list[psutil.Process]:
    """All processes whose environment names the stack's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TOONCRAFTER_STATE_DIR") == str(stack.state):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def is_gone(stack: Stack) -> bool:
    """Whether no process of an ended stack is left; the last one may take a moment."""
    deadline = time.monotonic() + 2
    while processes_of(stack) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes_of(stack)


def end_all_of(stack: Stack) -> None:
    """Leave nothing of a stack, whatever a test did to it."""
    for process in processes_of(stack):
        process.kill()
    if stack.was_started:
        stack.process.wait()


def without_torch(stack: Stack) -> Stack:
    """Let the stack's worker draw with the stand-in of `make chaos`; its steps take 0.1 s.

    A stack starts with a fifth of the CPU time, and its jobs cost next to none.
    """
    stack.environment |= {
        "PYTHONPATH": os.pathsep.join((str(INJECTED), str(ROOT))),
        "CHAOS_MODEL": "stand-in",
        "TOONCRAFTER_MODEL": "tiny",
        "TOONCRAFTER_PREVIEW_WORKER": "false",
        "CHAOS_STEP_SECONDS": "0.1",
    }
    return stack
