"""From what can go wrong while a job runs to the codes that its record tells."""

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
from worker.jobs.interruptions import DeviceBroken, WorkerStops

log = structlog.get_logger("worker")


@contextmanager
def failures_of_a_job(require_working_device: Callable[[], None]) -> Iterator[None]:
    """Turn errors into the ends of a job.

    Args:
        require_working_device: raises where the device fails at a small known task. Asked after
            every error that has no other explanation, since what a broken device raises differs by
            driver, library and time.

    Raises:
        JobFailed: the job is to end with this error.
        DeviceBroken: not the job, the device is at fault, as far as one can see.
    """
    try:
        yield
    except (StaleClaim, CancelRequested, WorkerStops, JobFailed, DeviceBroken):
        raise
    except NumericalError as error:
        raise NumericalFailure(str(error)) from error
    except (Unavailable, NotFound) as error:
        log.exception("storage failed")
        raise StorageFailed("a keyframe could not be read or a result not be written") from error
    except Exception as error:
        log.exception("unexpected error in a job")
        _blame_device(require_working_device, error)
        raise InternalFailure(
            "an unexpected error; the service's log has it under this job's id"
        ) from error


def _blame_device(require_working_device: Callable[[], None], error: Exception) -> None:
    try:
        require_working_device()
    except Exception as broken:
        raise DeviceBroken(_first_line(error)) from broken


def _first_line(error: Exception) -> str:
    """CUDA's errors bring paragraphs of advice."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
