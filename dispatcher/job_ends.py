"""Log one line per ended job, whether a worker, caller, operator or lost lease ended it."""

from collections.abc import Mapping
from typing import Any

import structlog

from core.records.base import from_milliseconds
from core.records.job import JobState, Timing
from core.records.tenant import DEFAULT_TENANT
from core.records.worker import ModelInfo
from core.store.roles.dispatcher import BATCH, DispatcherStore
from core.telemetry.tracing import trace_id_field

log = structlog.get_logger("dispatcher")


def tell_ended_jobs(store: DispatcherStore) -> None:
    """Write a line for every end since the last time.

    Each job has exactly one; it has two where a dispatcher died between writing it and noting that
    it did.
    """
    while entries := store.untold_ends():
        for _, end in entries:
            write = log.warning if end["status"] == JobState.FAILED else log.info
            write("job ended", **_facts(end))
        store.told(entry for entry, _ in entries)
        if len(entries) < BATCH:
            return


def _facts(end: Mapping[str, str]) -> dict[str, Any]:
    """Whose it was, how it ended, what it asked for, and where its time went: by Redis's clock, the
    stages by its worker's. Nothing of what was drawn or written.
    """
    created, ended = from_milliseconds(int(end["created"])), from_milliseconds(int(end["finished"]))
    started = from_milliseconds(int(end["started"])) if "started" in end else ended
    timing = Timing.model_validate_json(end.get("timing", "{}"))
    model = ModelInfo.model_validate_json(end["model"]) if "model" in end else None
    return {
        "job_id": end["id"],
        "request_id": end.get("request_id", ""),
        "tenant": end.get("tenant", DEFAULT_TENANT),
        "attempt": int(end["attempts"]),
        "status": end["status"],
        "code": end["code"] or None,
        "priority": end["priority"],
        "canvas": f"{end.get('width')}x{end.get('height')}",
        "steps": int(end.get("steps", 0)),
        "lost_leases": int(end["lost_leases"]),
        "ended_at": ended.isoformat(),
        "total_seconds": (ended - created).total_seconds(),
        **timing.model_dump(),
        "queued_seconds": (started - created).total_seconds(),
        "run_seconds": (ended - started).total_seconds(),
        **trace_id_field(end.get("traceparent", "")),
        "device": model.device if model else None,
        "model": model.name if model else None,
        "worker": end.get("worker"),
    }
