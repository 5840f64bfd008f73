"""List jobs, cancel and delete them, download a result."""

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from api.dependencies import BaseUrl, InterpolationsService
from api.http.headers import FileParameters, is_known
from api.http.job_path import JOB, JobId
from api.http.stored_file import RANGE_ANSWERS, StoredFile
from api.schemas.jobs import PROBLEM_RESPONSE, JobPage
from api.schemas.views import job_view
from core.records.ids import JOB_ID_PATTERN
from core.records.job import JobState
from core.records.view import JobView

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])

_DOWNLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    **RANGE_ANSWERS,
    304: {"description": "The caller has the file already."},
    307: {"description": "The file lies at `Location`."},
    **dict.fromkeys((404, 416, 503), PROBLEM_RESPONSE),
}


@router.get("", response_model=JobPage, responses=dict.fromkeys((422, 503), PROBLEM_RESPONSE))
async def list_jobs(
    request: Request,
    interpolations: InterpolationsService,
    base_url: BaseUrl,
    status: Annotated[JobState | None, Query(description="Only jobs of this status.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs of one page.")] = 20,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before.", pattern=JOB_ID_PATTERN)
    ] = None,
) -> Response:
    """Jobs, the newest first."""
    views, next_cursor = await interpolations.page(status, cursor, limit)
    headers = {}
    if next_cursor:
        query = request.url.include_query_params(cursor=next_cursor).query
        headers["Link"] = f'<{base_url}/v1/interpolations?{query}>; rel="next"'
    page = JobPage(
        data=[job_view(view, interpolations, base_url) for view in views], next_cursor=next_cursor
    )
    return Response(page.model_dump_json(), headers=headers, media_type="application/json")


@router.post(
    f"{JOB}/cancel", response_model=JobView, responses=dict.fromkeys((404, 503), PROBLEM_RESPONSE)
)
async def cancel(
    job_id: JobId, interpolations: InterpolationsService, base_url: BaseUrl
) -> JobView:
    """End a queued job at once and a running one within a denoising step; an ended job is returned
    as it is.
    """
    return job_view(await interpolations.cancel(job_id), interpolations, base_url)


@router.delete(JOB, status_code=204, responses=dict.fromkeys((404, 409, 503), PROBLEM_RESPONSE))
async def delete(job_id: JobId, interpolations: InterpolationsService) -> None:
    """Remove an ended job: its record and every stored object."""
    await interpolations.delete(job_id)


@router.get(
    f"{JOB}/outputs/{{name}}",
    response_class=FileResponse,
    responses=_DOWNLOAD_ANSWERS,
)
@router.head(f"{JOB}/outputs/{{name}}", include_in_schema=False)
async def download(
    request: Request,
    job_id: JobId,
    name: str,
    interpolations: InterpolationsService,
    _: FileParameters,
) -> Response:
    """A result: the bytes, with `Range`, or a redirect to where they lie."""
    place, output = await interpolations.open_output(job_id, name)
    headers = {"ETag": f'"{output.sha256}"'}
    if not isinstance(place, FilePath):
        if request.method == "GET":
            return RedirectResponse(place, status_code=307)
        # its link is signed for GET alone
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(output.bytes)}
        return Response(headers=headers, media_type=output.content_type)
    if is_known(headers["ETag"], request):
        return Response(status_code=304, headers=headers)
    return StoredFile(place, media_type=output.content_type, headers=headers)
