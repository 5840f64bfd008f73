"""Job records as callers see them: with links that are made fresh at each read."""

from api.schemas import JobView, OutputView
from api.service import Interpolations
from core.job_record import QueuedView


def job_view(view: QueuedView, interpolations: Interpolations, base_url: str) -> JobView:
    """The job, its place in the queue, and links to its outputs at this gateway or in the object storage."""
    job, position = view
    outputs = []
    for output in job.outputs:
        link, until = interpolations.link(job, output)
        outputs.append(OutputView(**output.model_dump(), url=absolute(link, base_url), url_expires_at=until))
    return JobView.of(job, position, outputs)


def absolute(link: str, base_url: str) -> str:
    """A link of the storage as callers can follow it: one that is only a path leads to this gateway."""
    return base_url + link if link.startswith("/") else link
