"""Measure the time and the failures of each operation of an object storage."""

from collections.abc import Callable
from typing import TypeVar

from core.errors import Unavailable
from core.telemetry.metrics import STORAGE_ERRORS, STORAGE_SECONDS

Operation = TypeVar("Operation", bound=Callable[..., object])


def measured(operation: Operation) -> Operation:
    """Record time and failures of a storage method under its name.

    `Unavailable` is a failure; a missing or too large object and an interrupted upload are none.
    """
    timed = STORAGE_SECONDS.labels(operation.__name__).time()(operation)
    return STORAGE_ERRORS.labels(operation.__name__).count_exceptions(Unavailable)(timed)
