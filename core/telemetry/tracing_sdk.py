"""Spans that leave the process: by OpenTelemetry's SDK, over OTLP/HTTP. Imported only where traces
are on.

The SDK's usual variables say where to and how many. Neither its global provider nor its global
context is touched, so no library begins to trace on its own: what a span says is decided in this
repository alone.
"""

import logging
import os
import uuid
from datetime import datetime
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from core.telemetry.tracing import Attributes, Kind, Span, Tracer

PROTOCOL = "http/protobuf"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class SdkSpan(Span):
    """A span of the SDK's, sampled or not."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        )

    def rename(self, name: str) -> None:
        """Its name is known only now."""
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""
        self._span.set_attributes(attributes)

    def fail(self, code: str) -> None:
        """It came to no good end, for this reason."""
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self, at: datetime | None = None) -> None:
        """It is over, now or since then."""
        if self._span.is_recording():  # the SDK would warn of a second end
            self._span.end(_nanoseconds(at))


class SdkTracer(Tracer):
    """Makes spans and sends them from a thread of its own, in batches; more than it can hold are
    dropped, never waited for.
    """

    def __init__(self, process: str) -> None:
        """Begin to send.

        Args:
            process: the service's name is `tooncrafter-{process}`, unless `OTEL_SERVICE_NAME` says
                another.

        Raises:
            SystemExit: the variables ask for a protocol other than `PROTOCOL`.
        """
        wanted = next(filter(None, map(os.environ.get, _PROTOCOLS)), PROTOCOL)
        if wanted != PROTOCOL:
            raise SystemExit(
                f"traces leave as {PROTOCOL}, but OTEL_EXPORTER_OTLP_PROTOCOL is {wanted}"
            )
        # nobody waits at the exit
        self._provider = TracerProvider(resource=_resource(process), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tooncrafter", version("tooncrafter-service"))
        # one line each time that a batch is given up will do; the words of each try, and of
        # libraries below, would not
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)

    def start(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        parent: str = "",
        link: str = "",
        begun: datetime | None = None,
        attributes: Attributes | None = None,
    ) -> Span:
        """Begin a span; a parent that was not sampled has no sampled children."""
        above = (
            trace.set_span_in_context(NonRecordingSpan(_context(parent)), Context())
            if parent
            else Context()
        )
        return SdkSpan(
            self._tracer.start_span(
                name,
                context=above,
                kind=SpanKind[kind.name],
                attributes=attributes,
                links=[Link(_context(link))] if link else None,
                start_time=_nanoseconds(begun),
            )
        )

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _resource(process: str) -> Resource:
    """What all spans of this process say of it; the variables of the environment win."""
    own = {
        "service.version": version("tooncrafter-service"),
        "service.instance.id": str(uuid.uuid4()),
    }
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create(own if named else {SERVICE_NAME: f"tooncrafter-{process}", **own})


def _context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _nanoseconds(moment: datetime | None) -> int | None:
    # a `datetime` knows microseconds
    return None if moment is None else round(moment.timestamp() * 1e6) * 1000
