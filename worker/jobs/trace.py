"""Spans of one attempt: how long its job had waited, the attempt itself, and its stages."""

from opentelemetry.trace import Span, SpanKind

from core.records.job import Job, Stage
from core.telemetry.tracing import (
    QUEUE,
    Attributes,
    fail,
    messaging_attributes,
    nanoseconds,
    span_fields,
    start_span,
    traceparent_of,
)

_SUCCESSFUL = frozenset({"succeeded", "canceled", "given_back"})


class AttemptTrace:
    """Starts when a job is claimed.

    The attempt belongs to the trace of the request that brought the job. It is below the span that
    sent the job and linked to it, since tools show ways over a queue by links.

    Args:
        job: as it was claimed.
        worker: which runs it.
        device: where.
    """

    def __init__(self, job: Job, worker: str, device: str) -> None:
        self._stage: Span | None = None
        about = _about(job)
        self._attempt = start_span(
            f"process {QUEUE}",
            SpanKind.CONSUMER,
            parent=job.traceparent,
            is_linked=True,
            attributes={
                **messaging_attributes("process", job.id),
                "tooncrafter.worker": worker,
                "tooncrafter.device": device,
                **about,
            },
        )
        self._here = traceparent_of(self._attempt)
        self.log_fields = span_fields(self._attempt)
        queued = start_span(
            "queued",
            parent=job.traceparent or self._here,
            begun=job.requeued_at or job.created_at,
            attributes=about,
        )
        queued.end(nanoseconds(job.started_at) if job.started_at else None)

    def begin(self, stage: Stage) -> None:
        """End the stage before and start the next."""
        self._end_stage()
        self._stage = start_span(stage.value, parent=self._here)

    def end(self, outcome: str, code: str = "") -> None:
        """End the attempt; later calls do nothing.

        Args:
            outcome: as the metrics name it.
            code: why it failed.
        """
        self._end_stage()
        if self._attempt.is_recording():
            self._attempt.set_attribute("tooncrafter.outcome", outcome)
            if outcome not in _SUCCESSFUL:
                fail(self._attempt, code or outcome)
            self._attempt.end()

    def _end_stage(self) -> None:
        if self._stage:
            self._stage.end()
            self._stage = None


def _about(job: Job) -> Attributes:
    return {
        "tooncrafter.job.id": job.id,
        "tooncrafter.tenant": job.tenant,
        "tooncrafter.attempt": job.attempts,
        "tooncrafter.priority": job.request.priority.value,
        "tooncrafter.width": job.request.width,
        "tooncrafter.height": job.request.height,
        "tooncrafter.steps": job.request.steps,
    }
