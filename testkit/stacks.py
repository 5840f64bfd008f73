"""Processes of whole stacks."""

import time

import psutil

from scripts.stack import Stack


def processes_of(stack: Stack) -> list[psutil.Process]:
    """All processes, whoever started them, whose environment names the stack's folder."""
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
