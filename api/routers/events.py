"""Progress of a job as server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import BaseUrl, InterpolationsService
from api.http.headers import LastEventVersion
from api.http.job_path import JOB, JobId
from api.schemas.jobs import PROBLEM_RESPONSE
from api.schemas.views import job_view

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])

# a client whose stream broke waits so long; the gateway is back by then
RETRY = timedelta(seconds=2)


_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {
        "description": "The job has ended and the caller has its last event; an `EventSource` does "
        "not come back."
    },
    **dict.fromkeys((404, 503), PROBLEM_RESPONSE),
}


async def _job_with_news(
    job_id: JobId, interpolations: InterpolationsService, seen: LastEventVersion
) -> str:
    """Look the job up before: a stream that has begun can answer neither 404 nor 204 (WHATWG HTML,
    section 9.2.3).
    """
    job = (await interpolations.get(job_id)).job
    if job.status.is_final and seen >= job.version:
        raise HTTPException(204)
    return job.id


@router.get(
    f"{JOB}/events",
    response_class=EventSourceResponse,
    responses=_ANSWERS,
)
async def events(
    job_id: Annotated[str, Depends(_job_with_news)],
    interpolations: InterpolationsService,
    base_url: BaseUrl,
    seen: LastEventVersion,
) -> AsyncIterator[ServerSentEvent]:
    """`status` events with the whole job, `progress` events with its progress; the id of each is
    the job's version.

    It begins with the current `status`, or with what is newer than `Last-Event-ID`, and ends after
    the final one. Who has that one already is answered with 204.
    """
    status = None
    yield ServerSentEvent(
        retry=round(RETRY / timedelta(milliseconds=1)), comment="events of this job follow"
    )
    async for view in interpolations.watch.follow(job_id, seen):
        version = str(view.job.version)
        if view.job.status is status and view.job.progress:
            yield ServerSentEvent(event="progress", id=version, data=view.job.progress)
        else:
            status = view.job.status
            yield ServerSentEvent(
                event="status", id=version, data=job_view(view, interpolations, base_url)
            )
