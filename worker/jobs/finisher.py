"""Finish one drawn job in a thread of its own, beside the drawing of the next."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event

# The longest time for which work waits until the device draws again: both threads need Python's
# lock, and what is left to do for the next drawing takes milliseconds.
HEAD_START_SECONDS = 0.25


class Finisher:
    """Works for one job at a time. Only the thread that draws uses it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="finisher")
        self._work: Future[None] | None = None
        self._may_start = Event()
        self._failure: Exception | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Take work, with the caller's log fields; the work before has ended."""
        self._may_start.clear()
        self._work = self._thread.submit(copy_context().run, self._do, work)

    def start(self) -> None:
        """Start the work that was taken: the device draws, or there is nothing to draw."""
        self._may_start.set()

    def is_free_within(self, seconds: float | None) -> bool:
        """Start the work, wait this long, None for any time, and tell whether none is under way."""
        self.start()
        return self._work is None or not wait([self._work], seconds).not_done

    def raise_failure(self) -> None:
        """Raise what broke off a work; each failure is raised once."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _do(self, work: Callable[[], None]) -> None:
        self._may_start.wait(HEAD_START_SECONDS)
        try:
            work()
        except Exception as error:
            self._failure = error
