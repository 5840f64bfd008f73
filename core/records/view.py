"""Describe a job as callers see it, in responses and in webhook messages."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from core.records.base import View
from core.records.job import (
    Caution,
    Failure,
    Job,
    JobState,
    Output,
    Progress,
    QualityReport,
    QueuedView,
    Timing,
)
from core.records.plan import PlanView, plan_of
from core.records.request import GenerationRequest
from core.records.webhook import WebhookEvent
from core.records.worker import ModelInfo

OutputLink = Callable[[Job, Output], tuple[str, datetime]]


class WebhookView(View):
    """A webhook without its URL, which may hold a key."""

    events: list[WebhookEvent]
    host: str


class OutputView(Output):
    """A stored result and a link to it."""

    url: str
    """Absolute address of the file, made fresh at each read."""
    url_expires_at: datetime
    """Until when the address answers."""


class JobView(View):
    """A job as callers see it."""

    id: str
    object: Literal["interpolation"] = "interpolation"
    version: int
    """Grows with every change."""
    status: JobState
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    queue_position: int | None
    """Jobs that are served before this one, while it is queued."""
    progress: Progress | None
    request: GenerationRequest
    """Every field as understood: defaults filled in, the seed resolved, images by digest."""
    outputs: list[OutputView]
    error: Failure | None
    timing: Timing
    model: ModelInfo | None
    plan: PlanView
    quality: list[QualityReport]
    """How each variant came out; empty until the job has succeeded."""
    webhook: WebhookView | None
    """What the webhook is told, and at which host."""
    warnings: list[Caution]
    """What the caller should know though the job was accepted."""
    metadata: dict[str, str]
    cancel_requested_at: datetime | None
    """When a running job's caller canceled it; it ends within a moment."""
    attempts: int
    """How often a worker began this job, without what it gave back in order."""


# as the record has them
_SHOWN = (JobView.model_fields.keys() & Job.model_fields.keys()) - {"outputs", "webhook"}


def job_view(view: QueuedView, link: OutputLink, base_url: str, *, with_drawings: bool) -> JobView:
    """The job, its place in the queue, and fresh links to its outputs.

    Args:
        view: the record.
        link: to an output, and until when it answers.
        base_url: the gateway's address, where a link that is only a path leads.
        with_drawings: whether the plan lists each drawing.
    """
    job, position = view
    outputs = []
    for output in job.outputs:
        address, until = link(job, output)
        outputs.append(
            OutputView(**output.model_dump(), url=absolute(address, base_url), url_expires_at=until)
        )
    shown = {name: getattr(job, name) for name in _SHOWN}
    webhook = WebhookView(events=job.webhook.events, host=job.webhook.host) if job.webhook else None
    plan = plan_of(job.request, reused=job.reused_segments, with_drawings=with_drawings)
    return JobView(**shown, queue_position=position, outputs=outputs, plan=plan, webhook=webhook)


def absolute(link: str, base_url: str) -> str:
    """A link of the storage as callers can follow it: one that is only a path leads to the
    gateway.
    """
    return base_url + link if link.startswith("/") else link
