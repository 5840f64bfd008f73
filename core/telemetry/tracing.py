"""Traces by setting: what a span is to the rest of the service, and how each process begins and
ends to send them.

Where they are off, which is the default, spans are one shared object that does nothing, and
OpenTelemetry's SDK is not even imported. A span's context travels as the text of the W3C header
`traceparent`, from the caller through the job's record to the worker; so it is known where traces
are off, too. The picture of a trace: docs/traces.md.
"""

import re
import threading
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

from core.settings import Settings

QUEUE = "interpolations"  # what jobs travel through, by name
# for spans to leave when a process ends; a collector that does not answer keeps nobody
FAREWELL_SECONDS = 1.0

# the newest versions of the header may say more at its end, never less (W3C Trace Context, section
# 3.2)
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?"
)

Attributes = Mapping[str, str | int | float | bool]


class Kind(StrEnum):
    """What a span is to its neighbours, as OpenTelemetry names it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span:
    """A stretch of time in a trace; this one is nowhere. As a context manager it ends with its
    block.
    """

    traceparent: str = ""  # its context, for whoever goes on from here

    def rename(self, name: str) -> None:
        """Its name is known only now."""

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""

    def fail(self, code: str) -> None:
        """It came to no good end, for this reason."""

    def end(self, at: datetime | None = None) -> None:
        """It is over, now or since then. Ending it twice is the same as once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind:
            self.fail(kind.__name__)
        self.end()


class Tracer:
    """Makes spans; this one makes none."""

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
        """Begin a span.

        Args:
            name: of few that are known ahead.
            kind: what it is to its neighbours.
            parent: `traceparent` of the span below which it lies; empty: it begins a trace.
            link: `traceparent` of one that it comes from otherwise, such as over a queue.
            begun: when it began, if not now.
            attributes: what is known of it already; no prompt, no URL, no key.
        """
        return _NOWHERE

    def close(self) -> None:
        """Send what is left; it may take a while."""


_NOWHERE = Span()
_tracer = Tracer()


def tracer() -> Tracer:
    """This process's."""
    return _tracer


def begin_tracing(settings: Settings, process: str) -> None:
    """Call once where a process starts, never in one that forks afterwards.

    Raises:
        SystemExit: traces are on, but what sends them is not installed or told to speak something
            else.
    """
    global _tracer  # as loggers are, it is one for the whole process
    if not settings.traces:
        return
    try:
        from core.telemetry.tracing_sdk import SdkTracer
    except ImportError as error:
        raise SystemExit(
            f"TOONCRAFTER_TRACES is set, but {error.name} is not installed: install the extra "
            "`traces`"
        ) from None
    _tracer = SdkTracer(process)


def end_tracing(seconds: float = FAREWELL_SECONDS) -> None:
    """Send what is left of this process's spans, for so long at most."""
    global _tracer
    closing, _tracer = _tracer, Tracer()
    thread = threading.Thread(target=closing.close, name="traces", daemon=True)
    thread.start()
    thread.join(seconds)


def on_the_queue(operation: str, job: str) -> dict[str, str]:
    """What the conventions for messaging ask of a span that sends or processes a job."""
    return {
        "messaging.system": "tooncrafter",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": QUEUE,
        "messaging.message.id": job,
        "tooncrafter.job.id": job,
    }


def read_traceparent(header: str) -> str:
    """A caller's `traceparent` in the form of version 00; empty where it is not well-formed, and so
    means nothing.
    """
    found = _TRACEPARENT.fullmatch(header)
    if not found or (found[1] == "00" and found[3]):
        return ""
    return f"00-{found[2]}"


def trace_of(traceparent: str) -> dict[str, str]:
    """What a line in the log says of the trace that it belongs to: nothing where there is none."""
    return {"trace_id": traceparent[3:35]} if traceparent else {}


def trace_ids(traceparent: str) -> dict[str, str]:
    """The same where the line belongs to a span of this process."""
    return {**trace_of(traceparent), "span_id": traceparent[36:52]} if traceparent else {}
