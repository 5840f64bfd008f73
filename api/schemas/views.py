"""Job records as callers of this gateway see them: with links that are made fresh at each read."""

from api.services.jobs import Interpolations
from core.records import view as views
from core.records.job import QueuedView


def job_view(view: QueuedView, interpolations: Interpolations, base_url: str) -> views.JobView:
    """The job, its place in the queue, and links to its outputs at this gateway or in the object
    storage.
    """
    return views.job_view(view, interpolations.link, base_url)
