"""Submit a job, read it, list, cancel and delete jobs, download a result."""

from datetime import timedelta
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from api.bodies import read_submission
from api.dependencies import BaseUrl, CurrentSettings, InterpolationsService, RequestIdentity
from api.headers import IdempotencyKeyHeader, SeenVersion, Wait, is_known
from api.schemas import PROBLEM_RESPONSE, JobPage
from api.submission_doc import SUBMISSION_DOC
from api.views import job_view
from core.job import ID_PATTERN, Job, JobState
from core.job_view import JobView

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])

POLL_AFTER_SECONDS = 1

_DOWNLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    304: {"description": "The caller has the file already."},
    307: {"description": "The file lies at `Location`."},
    404: PROBLEM_RESPONSE,
    503: PROBLEM_RESPONSE,
}

_ENDED_OR_REPLAYED: dict[str, Any] = {
    "model": JobView,
    "description": "The job ended within `Prefer: wait=N`, or the `Idempotency-Key` had made it before.",
}
_UNCHANGED: dict[str, Any] = {"description": "The job is still at the version of `If-None-Match`."}

JobId = Annotated[str, Path(description="`itp_` and a ULID.", examples=["itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])]


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    openapi_extra=SUBMISSION_DOC,
    responses={200: _ENDED_OR_REPLAYED, **dict.fromkeys((400, 404, 413, 415, 422, 429, 503), PROBLEM_RESPONSE)},
)
async def submit(
    request: Request,
    response: Response,
    interpolations: InterpolationsService,
    settings: CurrentSettings,
    base_url: BaseUrl,
    request_id: RequestIdentity,
    wait: Wait,
    idempotency_key: IdempotencyKeyHeader,
) -> JobView:
    """Accept two keyframes and animate between them; the answer is the job, to be polled at its `Location`."""
    submission = await read_submission(request, max_image=settings.max_image)
    view, replayed = await interpolations.submit(submission, request_id, idempotency_key)
    response.headers["Location"] = f"/v1/interpolations/{view.job.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if wait:
        view = await interpolations.wait_for_end(view.job.id, wait)
        response.headers["Preference-Applied"] = _applied(wait)
    if replayed or view.job.status.is_final:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    response.headers["ETag"] = _etag(view.job)
    return job_view(view, interpolations, base_url)


@router.get("", response_model=JobPage, responses=dict.fromkeys((422, 503), PROBLEM_RESPONSE))
async def list_jobs(
    request: Request,
    response: Response,
    interpolations: InterpolationsService,
    base_url: BaseUrl,
    status: Annotated[JobState | None, Query(description="Only jobs of this status.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs of one page.")] = 20,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.", pattern=ID_PATTERN)] = None,
) -> JobPage:
    """Jobs, the newest first."""
    views, next_cursor = await interpolations.page(status, cursor, limit)
    if next_cursor:
        query = request.url.include_query_params(cursor=next_cursor).query
        response.headers["Link"] = f'<{base_url}/v1/interpolations?{query}>; rel="next"'
    return JobPage(data=[job_view(view, interpolations, base_url) for view in views], next_cursor=next_cursor)


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses={304: _UNCHANGED, **dict.fromkeys((404, 503), PROBLEM_RESPONSE)},
)
async def read(
    job_id: JobId,
    response: Response,
    interpolations: InterpolationsService,
    base_url: BaseUrl,
    wait: Wait,
    seen: SeenVersion,
) -> JobView | Response:
    """The job as it stands now, or with `Prefer: wait=N` as soon as it changes."""
    view = await (interpolations.wait_for_change(job_id, seen, wait) if wait else interpolations.get(job_id))
    headers = {"ETag": _etag(view.job)}
    if wait:
        headers["Preference-Applied"] = _applied(wait)
    if seen == view.job.version:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return job_view(view, interpolations, base_url)


@router.post("/{job_id}/cancel", response_model=JobView, responses=dict.fromkeys((404, 503), PROBLEM_RESPONSE))
async def cancel(job_id: JobId, interpolations: InterpolationsService, base_url: BaseUrl) -> JobView:
    """End a queued job at once and a running one within a denoising step; an ended job is returned as it is."""
    return job_view(await interpolations.cancel(job_id), interpolations, base_url)


@router.delete("/{job_id}", status_code=204, responses=dict.fromkeys((404, 409, 503), PROBLEM_RESPONSE))
async def delete(job_id: JobId, interpolations: InterpolationsService) -> None:
    """Remove an ended job: its record and every stored object."""
    await interpolations.delete(job_id)


@router.get(
    "/{job_id}/outputs/{name}",
    response_class=FileResponse,
    responses=_DOWNLOAD_ANSWERS,
)
async def download(
    job_id: JobId,
    name: str,
    interpolations: InterpolationsService,
    if_none_match: Annotated[str | None, Header(description="`ETag` of the file that the caller has already.")] = None,
) -> Response:
    """A result: the bytes, with `Range`, or a redirect to where they lie."""
    place, output = await interpolations.open_output(job_id, name)
    if not isinstance(place, FilePath):
        return RedirectResponse(place, status_code=307)
    etag = f'"{output.sha256}"'
    if is_known(etag, if_none_match):
        return Response(status_code=304, headers={"ETag": etag})
    return FileResponse(place, media_type=output.content_type, headers={"ETag": etag})


def _etag(job: Job) -> str:
    return f'"{job.version}"'


def _applied(wait: timedelta) -> str:
    return f"wait={int(wait.total_seconds())}"
