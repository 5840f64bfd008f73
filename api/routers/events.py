"""Progress of a job as server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import BaseUrl, InterpolationsService
from api.headers import LastEventVersion
from api.job_path import JOB, JobId
from api.schemas import PROBLEM_RESPONSE
from api.views import job_view

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])

RETRY = timedelta(seconds=2)  # a client whose stream broke waits so long; the gateway is back by then


async def _existing_job(job_id: JobId, interpolations: InterpolationsService) -> str:
    """A stream cannot answer 404 once it has begun, so the job is looked up before."""
    return (await interpolations.get(job_id)).job.id


@router.get(
    f"{JOB}/events",
    response_class=EventSourceResponse,
    responses=dict.fromkeys((404, 503), PROBLEM_RESPONSE),
)
async def events(
    job_id: Annotated[str, Depends(_existing_job)],
    interpolations: InterpolationsService,
    base_url: BaseUrl,
    seen: LastEventVersion,
) -> AsyncIterator[ServerSentEvent]:
    """`status` events with the whole job, `progress` events with its progress; the id of each is the job's version.

    It begins with the current `status`, or with what is newer than `Last-Event-ID`, and ends after the final one.
    """
    status = None
    yield ServerSentEvent(retry=round(RETRY / timedelta(milliseconds=1)), comment="events of this job follow")
    async for view in interpolations.watch.follow(job_id, seen):
        version = str(view.job.version)
        if view.job.status is status and view.job.progress:
            yield ServerSentEvent(event="progress", id=version, data=view.job.progress)
        else:
            status = view.job.status
            yield ServerSentEvent(event="status", id=version, data=job_view(view, interpolations, base_url))
