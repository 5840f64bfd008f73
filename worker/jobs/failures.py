"""Translate exceptions of a job: some end the job, others only the attempt.

A JobFailed of `core.errors` ends the job. DeviceBroken, StorageAway and WorkerStops end an attempt
only, and the job waits again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from core.errors import (
    CancelRequested,
    InternalFailure,
    JobFailed,
    NotFound,
    NumericalFailure,
    StaleClaim,
    StorageFailed,
    Unavailable,
)
from model.pipeline_tooncrafter import NumericalError
from worker.gpu.faults import DeviceBroken
from worker.jobs.progress import WorkerStops

log = structlog.get_logger("worker")


class StorageAway(Exception):
    """The keyframes cannot be read: the object storage fails, which is not the job's fault."""


@contextmanager
def failures_of_a_job(require_working_device: Callable[[], None]) -> Iterator[None]:
    """Translate errors of a job.

    Args:
        require_working_device: raises if the device fails at a small known task. It is called after
            every error without another explanation, since what a broken device raises differs by
            driver, library and time.

    Raises:
        JobFailed: the job has to end with this error.
        DeviceBroken: the device is at fault.
        StorageAway: the object storage is at fault.
    """
    try:
        yield
    except JobFailed as error:
        error.detail = _place(error) + error.detail
        raise
    except (StaleClaim, CancelRequested, WorkerStops, DeviceBroken):
        raise
    except NumericalError as error:
        raise NumericalFailure(_place(error) + str(error)) from error
    except Unavailable as error:
        raise StorageAway(error.detail) from error
    except NotFound as error:
        log.exception("an object of the job is missing")
        raise StorageFailed("a keyframe is no longer in the object storage") from error
    except Exception as error:
        log.exception("unexpected error in a job")
        _check_device(require_working_device, error)
        raise InternalFailure(
            f"{_place(error)}an unexpected error; the service's log has it under this job's id"
        ) from error


def _check_device(require_working_device: Callable[[], None], error: Exception) -> None:
    try:
        require_working_device()
    except Exception as broken:
        raise DeviceBroken(_first_line(error)) from broken


def _place(error: Exception) -> str:
    """Return which segment of a shot failed, as the notes of the error say."""
    return "".join(f"{note}: " for note in getattr(error, "__notes__", ()))


def _first_line(error: Exception) -> str:
    """Return an error without the paragraphs of advice that CUDA adds."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
