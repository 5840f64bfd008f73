"""Jobs whose worker vanished go back to the ready set, or fail after too many."""

import structlog

from core.metrics import LEASES_RECOVERED
from core.upkeep_store import UpkeepStore

log = structlog.get_logger("dispatcher")


def recover_lost_jobs(store: UpkeepStore) -> None:
    """Look once; every change is one atomic script, so two dispatchers may do this at the same time."""
    requeued, failed = store.recover_expired_leases()
    LEASES_RECOVERED.labels("requeued").inc(len(requeued))
    LEASES_RECOVERED.labels("failed").inc(len(failed))
    for job_id in requeued:
        log.warning("lease expired, job waits again", job_id=job_id)
    for job_id in failed:
        log.error("job lost too many workers: failed for good, its inputs stay until it expires", job_id=job_id)
