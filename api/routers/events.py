"""Stream a job's progress as server-sent events (WHATWG HTML, section 9.2)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import Jobs
from api.http.answers import Answers, problems
from api.http.parameters import (
    JOB,
    JobId,
    LastEventVersion,
    interpolations_router,
    reads_headers,
)

router = interpolations_router()

RETRY = timedelta(seconds=2)  # a client reconnects after it; a restarted gateway is back by then
# A key is checked when a request starts, so a stream must end some time; clients reconnect.
STREAM_LIFE = timedelta(hours=1)

_ANSWERS: Answers = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    204: {"description": "The job has ended and the caller has its last event."},
    **problems(404, 503),
}


async def _job_with_news(job_id: JobId, jobs: Jobs, seen: LastEventVersion) -> str:
    """Look the job up first: a stream that has begun can answer neither 404 nor 204."""
    job = (await jobs.service.get(job_id, jobs.tenant)).job
    if job.status.is_final and seen >= job.version:
        raise HTTPException(204)  # an `EventSource` reconnects after anything else
    return job.id


@router.get(
    f"{JOB}/events",
    response_class=EventSourceResponse,
    openapi_extra=reads_headers("Last-Event-ID"),
    responses=_ANSWERS,
)
async def events(
    job_id: Annotated[str, Depends(_job_with_news)],
    jobs: Jobs,
    seen: LastEventVersion,
) -> AsyncIterator[ServerSentEvent]:
    """Send `status` events with the whole job and `progress` events with its progress.

    `preview` events show what is being drawn, at most two a second: `{variant, segment, step,
    width, height, image}`, where `image` is a JPEG as a data URI. They have no id and are not sent
    again.

    The id of all others is the job's version. The stream begins with the current `status`, or with
    what is newer than `Last-Event-ID`, and ends after the final one, or after an hour. A client
    that has the final one already is answered with 204.
    """
    status = None
    yield ServerSentEvent(
        retry=round(RETRY / timedelta(milliseconds=1)), comment="events of this job follow"
    )
    async for view in jobs.service.follow(job_id, jobs.tenant, seen, STREAM_LIFE):
        if isinstance(view, str):
            yield ServerSentEvent(event="preview", raw_data=view)
            continue
        version = str(view.job.version)
        if view.job.status is status and view.job.progress:
            yield ServerSentEvent(event="progress", id=version, data=view.job.progress)
        else:
            status = view.job.status
            yield ServerSentEvent(event="status", id=version, data=jobs.show(view))
