"""Job records as callers see them: with links that are made fresh at each read."""

from api.schemas import JobView, OutputView
from api.service import Interpolations
from core.job_record import QueuedView


def job_view(view: QueuedView, interpolations: Interpolations, base_url: str) -> JobView:
    """The job, its place in the queue, and links to its outputs below `base_url` or in the object storage."""
    job, position = view
    outputs = []
    for output in job.outputs:
        own = f"{base_url}/v1/interpolations/{job.id}/outputs/{output.name}", job.expires_at
        url, until = interpolations.link(job, output) or own
        outputs.append(OutputView(**output.model_dump(), url=url, url_expires_at=until))
    return JobView.of(job, position, outputs)
