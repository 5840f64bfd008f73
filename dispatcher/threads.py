"""A thread whose failure ends the process, so that it never lives on doing half its work."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger("dispatcher")


class SupervisedThread(threading.Thread):
    """Runs until `stop` is set, and sets it when it ends in any other way. A daemon: it never keeps
    a process alive.
    """

    def __init__(self, name: str, stop: threading.Event, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.failed = False
        self._stop_all = stop
        self._work = work

    def run(self) -> None:
        """The thread's life."""
        try:
            self._work()
        except Exception:
            self.failed = True
            log.exception("dispatcher fails", thread=self.name)
        finally:
            self._stop_all.set()
