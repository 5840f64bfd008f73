"""The span that puts a job into the queue."""

from opentelemetry.trace import Span, SpanKind

from core.records.request import GenerationRequest
from core.telemetry.tracing import QUEUE, messaging_attributes, start_span


def start_sending(job_id: str, request: GenerationRequest, traceparent: str) -> Span:
    """Start the producer's span; the spans of its workers are children of it."""
    attributes = messaging_attributes("send", job_id)
    attributes["tooncrafter.priority"] = request.priority.value
    return start_span(f"send {QUEUE}", SpanKind.PRODUCER, parent=traceparent, attributes=attributes)
