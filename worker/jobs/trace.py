"""The spans of one attempt: how long its job had waited, the attempt itself, and the stages below
it.
"""

from core.records.job import Job, Stage
from core.telemetry.tracing import (
    QUEUE,
    Attributes,
    Kind,
    Span,
    on_the_queue,
    trace_ids,
    trace_of,
    tracer,
)

_NOT_AT_FAULT = frozenset({"succeeded", "canceled", "given_back"})


class AttemptTrace:
    """Begins when a job was claimed.

    The attempt lies in the trace of the request that brought the job, below the span that sent it,
    and is linked to it as well: links are what tools show of a way over a queue. A further attempt
    is a span beside the first.

    Args:
        job: as it was claimed.
        worker: who runs it.
        device: where.
    """

    def __init__(self, job: Job, worker: str, device: str) -> None:
        self._stage: Span | None = None
        self._ended = False
        sent, about = job.traceparent, _about(job)
        self._attempt = tracer().start(
            f"process {QUEUE}",
            Kind.CONSUMER,
            parent=sent,
            link=sent,
            attributes={
                **on_the_queue("process", job.id),
                "tooncrafter.worker": worker,
                "tooncrafter.device": device,
                **about,
            },
        )
        self._here = self._attempt.traceparent
        self.ids = trace_ids(self._here) or trace_of(sent)
        since = job.requeued_at or job.created_at
        tracer().start("queued", parent=sent or self._here, begun=since, attributes=about).end(
            job.started_at
        )

    def begin(self, stage: Stage) -> None:
        """The stage before is over."""
        self._end_stage()
        self._stage = tracer().start(stage.value, parent=self._here)

    def end(self, outcome: str, code: str = "") -> None:
        """The attempt is over; what is said later is not heard.

        Args:
            outcome: as the metrics name it.
            code: why, where it failed.
        """
        if self._ended:
            return
        self._ended = True
        self._end_stage()
        self._attempt.set({"tooncrafter.outcome": outcome})
        if outcome not in _NOT_AT_FAULT:
            self._attempt.fail(code or outcome)
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
