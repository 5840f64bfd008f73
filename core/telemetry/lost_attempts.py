"""The span of an attempt whose own process cannot send it any more, sent by whoever finds out."""

from datetime import datetime

from core.telemetry.tracing import QUEUE, Kind, on_the_queue, tracer


def trace_lost_attempt(
    job_id: str,
    traceparent: str,
    attempt: int,
    worker: str,
    begun: datetime | None,
    outcome: str,
    code: str,
) -> None:
    """Send it, from its start until now.

    Args:
        job_id: of the job.
        traceparent: of its record.
        attempt: which it was.
        worker: who ran it.
        begun: when it started, by Redis's clock.
        outcome: what became of it.
        code: why.
    """
    span = tracer().start(
        f"process {QUEUE}",
        Kind.CONSUMER,
        parent=traceparent,
        link=traceparent,
        begun=begun,
        attributes={
            **on_the_queue("process", job_id),
            "tooncrafter.attempt": attempt,
            "tooncrafter.worker": worker,
            "tooncrafter.outcome": outcome,
        },
    )
    span.fail(code)
    span.end()
