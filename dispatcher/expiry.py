"""Ended jobs past their time, and deleted ones: a job is in the trash until its objects are gone."""

import structlog

from core.job import job_prefix
from core.job_store import JobStore
from core.storage import ObjectStorage

log = structlog.get_logger("dispatcher")


def delete_expired_jobs(store: JobStore, storage: ObjectStorage) -> None:
    """Delete a batch; what a crash or an absent storage leaves is found by the next run.

    Raises:
        Unavailable: the storage does not answer; the jobs stay in the trash until it does.
    """
    for job_id in store.sweep_expired():
        storage.delete_prefix(job_prefix(job_id))
        store.emptied(job_id)
        log.info("objects of a job deleted", job_id=job_id)
