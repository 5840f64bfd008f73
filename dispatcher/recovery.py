"""Return jobs of lost workers to the ready set, or fail them after too many losses."""

from collections.abc import Mapping

import structlog

from core.records.base import from_milliseconds
from core.store.roles.dispatcher import DispatcherStore
from core.telemetry.metrics import LEASES_RECOVERED
from core.telemetry.tracing import trace_id_field, trace_lost_attempt

log = structlog.get_logger("dispatcher")


def recover_lost_jobs(store: DispatcherStore) -> None:
    """Look once; every change is one atomic script, so two dispatchers may do this at the same
    time.
    """
    recovered = store.recover_expired_leases()
    LEASES_RECOVERED.labels("requeued").inc(len(recovered.requeued))
    LEASES_RECOVERED.labels("failed").inc(len(recovered.failed))
    for record in recovered.attempts:
        _trace(record)
        whose = _whose(record)
        if record["id"] in recovered.failed:
            log.error(
                "job lost too many workers: failed for good, its inputs stay until it expires",
                **whose,
            )
        elif record["id"] in recovered.requeued:
            log.warning("lease expired, job waits again", **whose)
        else:
            log.info("lease expired, job was to be canceled", **whose)


def _whose(record: Mapping[str, str]) -> dict[str, object]:
    return {
        "job_id": record["id"],
        "request_id": record.get("request_id", ""),
        "tenant": record.get("tenant"),
        "attempt": int(record["attempts"]),
        "worker": record.get("worker"),
        **trace_id_field(record.get("traceparent", "")),
    }


def _trace(record: Mapping[str, str]) -> None:
    trace_lost_attempt(
        record["id"],
        record.get("traceparent", ""),
        int(record["attempts"]),
        record.get("worker", ""),
        from_milliseconds(int(record["started"])),
        outcome="lost",
        code="lease_expired",
    )
