"""Drawing in other processes, before the step that wants it."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Generic, TypeVar

import cv2

Key = TypeVar("Key", bound=Hashable)
Drawn = TypeVar("Drawn")


class DrawnAhead(Generic[Key, Drawn]):
    """Draws what is expected in processes of its own, so that a GPU does not wait for it.

    What is drawn does not depend on the number of processes.

    Args:
        draw: a function that pickles, and whose result depends on the key alone.
        processes: 0 draws in this one, when it is wanted.
    """

    def __init__(self, draw: Callable[[Key], Drawn], processes: int) -> None:
        self.reach = 2 * processes  # steps to look ahead
        self._draw = draw
        self._expected: dict[Key, Future[Drawn]] = {}
        self._executor = (
            ProcessPoolExecutor(processes, get_context("spawn"), cv2.setNumThreads, (1,))
            if processes
            else None
        )

    def expect(self, key: Key) -> None:
        """Have a process draw what will be taken soon."""
        if self._executor and key not in self._expected:
            self._expected[key] = self._executor.submit(self._draw, key)

    def take(self, key: Key) -> Drawn:
        """Return what belongs to a key, and forget it."""
        expected = self._expected.pop(key, None)
        return expected.result() if expected else self._draw(key)
