"""Measure the time and the failures of each operation of an object storage."""

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from core.errors import Unavailable
from core.telemetry.metrics import STORAGE_ERRORS, STORAGE_SECONDS

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def measured(operation: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Record time and failures of a storage method under its name.

    `Unavailable` is a failure; a missing or too large object and an interrupted upload are none.
    """
    seconds = STORAGE_SECONDS.labels(operation.__name__)
    errors = STORAGE_ERRORS.labels(operation.__name__)

    @wraps(operation)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        begun = time.perf_counter()
        try:
            return operation(*args, **kwargs)
        except Unavailable:
            errors.inc()
            raise
        finally:
            seconds.observe(time.perf_counter() - begun)

    return run
