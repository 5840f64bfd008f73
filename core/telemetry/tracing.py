"""Open spans by OpenTelemetry's API: no-ops unless `begin_tracing` loads the SDK.

A span's context travels as the text of the W3C header `traceparent`, from the caller through the
job's record to the worker, also while tracing is off. Neither the global provider nor the global
context is touched, so that no library starts tracing by itself. docs/operator.md shows a trace.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

QUEUE = "interpolations"  # messaging destination of jobs
# For spans to leave when a process ends; a collector that does not answer delays it no longer.
SHUTDOWN_SECONDS = 1.0
PROTOCOL = "http/protobuf"
_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROPAGATOR = TraceContextTextMapPropagator()

Attributes = Mapping[str, str | int | float | bool]

_tracer: Tracer = NoOpTracer()
_shut_down: Callable[[], None] | None = None  # set while spans are sent


def start_span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str = "",
    is_linked: bool = False,
    begun: datetime | None = None,
    attributes: Attributes | None = None,
) -> Span:
    """Start a span of this process.

    Args:
        name: one of few that are known ahead.
        kind: its relation to its neighbours.
        parent: `traceparent` of the span above it; empty to begin a trace.
        is_linked: also link to the parent, as for a message that came over a queue.
        begun: when it began; None for now.
        attributes: no prompt, no URL, no key.
    """
    above = _context(parent)
    return _tracer.start_span(
        name,
        context=above,
        kind=kind,
        attributes=attributes,
        links=[Link(get_current_span(above).get_span_context())] if is_linked and parent else None,
        start_time=nanoseconds(begun) if begun else None,
    )


@contextmanager
def ending(span: Span) -> Iterator[Span]:
    """End a span with a block; an exception is recorded by its class, never by its message."""
    try:
        yield span
    except BaseException as error:
        fail(span, type(error).__name__)
        raise
    finally:
        span.end()


def fail(span: Span, code: str) -> None:
    """Mark a span as failed for this reason."""
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR))


def nanoseconds(moment: datetime) -> int:
    """Return a moment as OpenTelemetry counts it."""
    return round(moment.timestamp() * 1e6) * 1000  # a `datetime` has microseconds


def messaging_attributes(operation: str, job: str) -> dict[str, str]:
    """Return what the messaging conventions ask of a span that sends or processes a job."""
    return {
        "messaging.system": "tooncrafter",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": QUEUE,
        "messaging.message.id": job,
        "tooncrafter.job.id": job,
    }


def trace_lost_attempt(
    job: str,
    traceparent: str,
    attempt: int,
    worker: str,
    begun: datetime | None,
    *,
    outcome: str,
    code: str,
) -> None:
    """Send the span of an attempt whose process can no longer send it.

    Args:
        job: its id.
        traceparent: of its record.
        attempt: its number.
        worker: which ran it.
        begun: when it started.
        outcome: what became of it.
        code: why.
    """
    attributes: dict[str, str | int] = {
        **messaging_attributes("process", job),
        "tooncrafter.attempt": attempt,
        "tooncrafter.worker": worker,
        "tooncrafter.outcome": outcome,
    }
    span = start_span(
        f"process {QUEUE}",
        SpanKind.CONSUMER,
        parent=traceparent,
        is_linked=True,
        begun=begun,
        attributes=attributes,
    )
    fail(span, code)
    span.end()


def traceparent_of(span: Span) -> str:
    """Return a span's context, for what continues from it; empty for none."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def read_traceparent(header: str) -> str:
    """Return a caller's `traceparent` in the form of version 00; empty if it is not valid."""
    return traceparent_of(get_current_span(_context(header))) if header == header.strip() else ""


def trace_id_field(traceparent: str) -> dict[str, str]:
    """Return the log field that names a trace; none without a trace."""
    return {"trace_id": traceparent[3:35]} if traceparent else {}


def span_fields(span: Span) -> dict[str, str]:
    """Return the log fields that name a span of this process and its trace."""
    traceparent = traceparent_of(span)
    own = {"span_id": traceparent[36:52]} if span.is_recording() else {}
    return trace_id_field(traceparent) | own


def begin_tracing(settings: Settings, process: str) -> None:
    """Start sending spans if the settings say so, as service `tooncrafter-{process}`.

    Call it once when a process starts, never in one that forks afterwards. The SDK's usual
    environment variables say where to and how many.

    Raises:
        SystemExit: the SDK is not installed, or has to use another protocol.
    """
    global _tracer, _shut_down  # one for the whole process, as loggers are
    if not settings.traces:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SystemExit(
            f"TOONCRAFTER_TRACES is set, but {error.name} is not installed: install the extra "
            "`traces`"
        ) from None
    wanted = next(filter(None, map(os.environ.get, _PROTOCOL_VARIABLES)), PROTOCOL)
    if wanted != PROTOCOL:
        raise SystemExit(f"traces leave as {PROTOCOL}, but OTEL_EXPORTER_OTLP_PROTOCOL is {wanted}")
    provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    # One line for each dropped batch is enough; below that are the tries, and libraries' own words.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
    _tracer = provider.get_tracer("tooncrafter", version("tooncrafter-service"))
    _shut_down = provider.shutdown


def end_tracing(seconds: float = SHUTDOWN_SECONDS) -> None:
    """Send what is left of this process's spans, for at most this long."""
    global _tracer, _shut_down
    if _shut_down:
        thread = threading.Thread(target=_shut_down, name="traces", daemon=True)
        _tracer, _shut_down = NoOpTracer(), None
        thread.start()
        thread.join(seconds)


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())


def _resource(process: str) -> "Resource":
    """Return what all spans of this process say about it; the environment's variables win."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = {
        "service.name": f"tooncrafter-{process}",
        "service.version": version("tooncrafter-service"),
        "service.instance.id": str(uuid.uuid4()),
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())
