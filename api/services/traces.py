"""The span that puts a job into the queue."""

from core.records.request import GenerationRequest
from core.telemetry.tracing import QUEUE, Kind, Span, on_the_queue, tracer


def start_sending(job_id: str, request: GenerationRequest, traceparent: str) -> Span:
    """Start the producer's span; the spans of its workers are children of it."""
    return tracer().start(
        f"send {QUEUE}",
        Kind.PRODUCER,
        parent=traceparent,
        attributes={**on_the_queue("send", job_id), "tooncrafter.priority": request.priority.value},
    )
