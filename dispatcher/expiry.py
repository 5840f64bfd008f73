"""Ended jobs past their time: first the objects, then the record, so that nothing is left that nobody knows of."""

import structlog

from core.job import job_prefix
from core.job_store import JobStore
from core.storage import ObjectStorage

log = structlog.get_logger("dispatcher")


def delete_expired_jobs(store: JobStore, storage: ObjectStorage) -> None:
    """Delete a batch; a crash between the two steps is repaired by the next run.

    Raises:
        Unavailable: the storage does not answer; the records stay until it does.
    """
    for job_id in store.expired():
        storage.delete_prefix(job_prefix(job_id))
        store.forget(job_id)
        log.info("job expired", job_id=job_id)
