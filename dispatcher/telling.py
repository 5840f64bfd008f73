"""One line in the log for each job that ended, whoever ended it: a worker, its caller, an operator, a lost lease."""

from collections.abc import Mapping
from typing import Any

import structlog

from core.errors import Unavailable
from core.job import Job, JobState
from core.job_record import parse_job
from core.tracing import trace_of
from core.upkeep_store import BATCH, UpkeepStore

log = structlog.get_logger("dispatcher")


def tell_ended_jobs(store: UpkeepStore) -> None:
    """Write a line for every end since the last time.

    Each job has exactly one; it has two where a dispatcher died between writing it and noting that it did.
    """
    while entries := store.untold_ends():
        for _, fields in entries:
            _tell(fields)
        store.told(entry for entry, _ in entries)
        if len(entries) < BATCH:
            return


def _tell(fields: Mapping[str, str]) -> None:
    try:
        job = parse_job(fields)
    except Unavailable:  # a newer version's: what is the same in each
        log.info("job ended", job_id=fields["id"], tenant=fields.get("tenant"), status=fields["status"])
        return
    write = log.warning if job.status is JobState.FAILED else log.info
    write("job ended", **_facts(job), worker=fields.get("worker"))


def _facts(job: Job) -> dict[str, Any]:
    """Whose it was, how it ended, what it asked for, and where its time went: by Redis's clock, the stages by its
    worker's. Nothing of what was drawn or written.
    """
    ended = job.finished_at or job.created_at
    started = job.started_at or ended
    request, code = job.request, job.error.code if job.error else None
    return {
        "job_id": job.id,
        "request_id": job.request_id,
        "tenant": job.tenant,
        "attempt": job.attempts,
        "status": job.status.value,
        "code": code,
        "priority": request.priority.value,
        "canvas": f"{request.width}x{request.height}",
        "steps": request.steps,
        "lost_leases": job.lost_leases,
        "ended_at": ended.isoformat(),
        "total_seconds": (ended - job.created_at).total_seconds(),
        **job.timing.model_dump(),
        "queued_seconds": (started - job.created_at).total_seconds(),
        "run_seconds": (ended - started).total_seconds(),
        **trace_of(job.traceparent),
        "device": job.model.device if job.model else None,
        "model": job.model.name if job.model else None,
    }
