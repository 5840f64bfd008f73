"""Run a service's threads so that the failure of one ends the whole process."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger("dispatcher")


class SupervisedThread(threading.Thread):
    """Runs `work` until `stop` is set, and sets `stop` itself when `work` ends early.

    It is a daemon, so it never keeps a process alive.
    """

    def __init__(self, name: str, stop: threading.Event, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.failed = False
        self._stop_all = stop
        self._work = work

    def run(self) -> None:
        """Run the work, and note whether it failed."""
        try:
            self._work()
        except Exception:
            self.failed = True
            log.exception("dispatcher fails", thread=self.name)
        finally:
            self._stop_all.set()
