"""Processes of whole stacks."""

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


def end_all_of(stack: Stack) -> None:
    """Leave nothing of a stack, whatever a test did to it."""
    for process in processes_of(stack):
        process.kill()
    if stack.was_started:
        stack.process.wait()
