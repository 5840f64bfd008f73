"""Whole stacks of processes, and the browser that looks at them."""

import shutil

import psutil

from scripts.setup import DEBIAN_TOOLS
from scripts.stack import Stack

CHROMIUM = next(filter(None, map(shutil.which, DEBIAN_TOOLS["chromium"])), None)

# No sandbox, since tests may run as root; no network of its own, since there may be none.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


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
