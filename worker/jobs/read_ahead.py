"""Read the drawings of the next job while the device draws the job before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import structlog

from core.records.job import Job
from worker.shots.preparation import PreparedShot

log = structlog.get_logger("worker")


class _Ahead(NamedTuple):
    job_id: str
    shot: PreparedShot


class ReadAhead:
    """Prepares the shot of the job that is next, without a claim on it.

    Another worker may take that job, or another job come first: then the work was in vain.

    Args:
        peek: returns the job that would be claimed now.
        prepare: reads a job's drawings and lays them out.
    """

    def __init__(
        self, peek: Callable[[], Job | None], prepare: Callable[[Job], PreparedShot]
    ) -> None:
        self._peek = peek
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._reading = ""  # id of the job
        self._ahead: Future[_Ahead | None] | None = None

    def begin(self) -> None:
        """Begin with the next job, unless the one before is still being read."""
        if self._ahead is None or self._ahead.done():
            self._reading = ""
            self._ahead = self._thread.submit(self._read)

    def shot_of(self, job: Job) -> PreparedShot:
        """Return a claimed job's shot, which may have been read ahead.

        Raises:
            Everything that `prepare` raises.
        """
        # Another job's drawings are not waited for.
        ahead = self._ahead.result() if self._ahead and self._reading == job.id else None
        self._ahead = None
        return ahead.shot if ahead and ahead.job_id == job.id else self._prepare(job)

    def _read(self) -> _Ahead | None:
        """Read the next job; return None if there is none or it cannot be read now."""
        try:
            job = self._peek()
            if job is None:
                return None
            self._reading = job.id
            return _Ahead(job.id, self._prepare(job))
        except Exception as error:
            # The job's own attempt reads it again and tells what is wrong.
            log.info("the next job is not read ahead", error=str(error))
            return None
