"""Hold one attempt's lease between the heartbeat, which renews it, and the job, which asks it."""

import time
from collections.abc import Callable
from dataclasses import replace

from core.records.job import Stage
from core.store.roles.worker import Claim
from worker.watch.status import JobStatus


class Lease:
    """The lease of one attempt: how far the attempt is, and whether it may go on.

    Attributes:
        claim: the job.
        status: how far it is.
        is_lost: another worker was given the job.
        cancel_requested: the caller canceled it.
        renewed_at: the last time, by `time.monotonic`.
        waits_for_storage: it cannot go on until the object storage answers.

    Args:
        claim: the job.
        tell_parent: sends what changed.
        seconds_to_stop: how long the worker may still compute; None unless it was asked to stop.
    """

    def __init__(
        self,
        claim: Claim,
        tell_parent: Callable[[], None],
        seconds_to_stop: Callable[[], float | None],
    ) -> None:
        job = claim.job
        self.claim = claim
        self.status = JobStatus(
            id=job.id,
            fence=job.fence,
            request_id=job.request_id,
            tenant=job.tenant,
            attempt=job.attempts,
        )
        self.is_lost = False
        self.cancel_requested = False
        self.renewed_at = 0.0
        self.waits_for_storage = False
        self.seconds_to_stop = seconds_to_stop
        self._tell_parent = tell_parent

    def renewed(self) -> None:
        """Note that it was renewed with the job's progress: the next heartbeat need not."""
        self.renewed_at = time.monotonic()

    def reached(self, stage: Stage, step: int) -> None:
        """Report how far the attempt is."""
        self.status = replace(self.status, stage=stage, step=step)
        self._tell_parent()

    def pause(self, *, for_storage: bool = False) -> None:
        """Report that the attempt waits for something that its deadline does not count."""
        self.waits_for_storage = for_storage
        if not self.status.is_paused:
            self.status = replace(self.status, is_paused=True)
            self._tell_parent()

    def go_on(self) -> None:
        """Report that the attempt waits no more."""
        self.waits_for_storage = False
        if self.status.is_paused:
            self.status = replace(self.status, is_paused=False)
            self._tell_parent()
