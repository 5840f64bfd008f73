"""Download what a job made."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, RedirectResponse

from api.dependencies import Jobs
from api.http.answers import FILE_ANSWERS, with_headers
from api.http.parameters import (
    ANY_STATE,
    JOB,
    IsHead,
    JobId,
    KnownQueryRoute,
    RangeHeaders,
    SeenTags,
)
from api.http.stored_file import StoredFile
from core.objects.keys import content_disposition

router = APIRouter(
    prefix="/v1/interpolations", tags=["interpolations"], route_class=KnownQueryRoute
)


@router.get(
    f"{JOB}/outputs/{{name}}",
    response_class=FileResponse,
    responses=FILE_ANSWERS | {307: with_headers("Location", description="Where the file is.")},
)
async def download(
    job_id: JobId,
    name: str,
    jobs: Jobs,
    seen: SeenTags,
    is_head: IsHead,
    _: RangeHeaders,
) -> Response:
    """Return a result: its bytes, with `Range`, or a redirect to them."""
    place, output = await jobs.service.open_output(job_id, jobs.tenant, name)
    etag = f'"{output.sha256}"'
    headers = {"ETag": etag}
    if isinstance(place, Path) and not seen.isdisjoint((etag, ANY_STATE)):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = content_disposition(f"{job_id}-{name}")
    if isinstance(place, Path):
        return StoredFile(place, media_type=output.content_type, headers=headers)
    if is_head:  # the link is signed for GET only
        headers |= {"Accept-Ranges": "bytes", "Content-Length": str(output.bytes)}
        return Response(headers=headers, media_type=output.content_type)
    return RedirectResponse(place, status_code=307)
