"""Download what a job made."""

from pathlib import Path
from typing import Annotated

from fastapi import Path as PathParameter
from fastapi import Query, Response
from fastapi.responses import FileResponse, RedirectResponse

from api.dependencies import Jobs
from api.http.answers import FILE_ANSWERS, problems, with_headers
from api.http.parameters import (
    ANY_STATE,
    JOB,
    READS_RANGES,
    IsHead,
    JobId,
    SeenTags,
    interpolations_router,
    reads_headers,
)
from api.http.stored_file import StoredFile
from api.schemas.shots import MAX_VARIANTS
from core.objects.object_keys import content_disposition

PNG = "image/png"

router = interpolations_router()


@router.get(
    f"{JOB}/outputs/{{name}}",
    response_class=FileResponse,
    openapi_extra=READS_RANGES,
    responses=FILE_ANSWERS | {307: with_headers("Location", description="Where the file is.")},
)
async def download(
    job_id: JobId,
    name: str,
    jobs: Jobs,
    seen: SeenTags,
    is_head: IsHead,
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


@router.get(
    f"{JOB}/drawings/{{n}}",
    response_class=Response,
    openapi_extra=reads_headers("If-None-Match"),
    responses={
        200: with_headers("ETag", "Content-Disposition", description="The drawing.")
        | {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}},
        304: with_headers("ETag", description="The caller has the drawing; it never changes."),
        **problems(404, 422, 503),
    },
)
async def drawing(
    job_id: JobId,
    jobs: Jobs,
    seen: SeenTags,
    n: Annotated[int, PathParameter(ge=0, description="Index of the drawing, 0 for the first.")],
    variant: Annotated[
        int, Query(ge=1, le=MAX_VARIANTS, description="Of which result; 1 for the first.")
    ] = 1,
) -> Response:
    """Return one drawing of a job's result as PNG, to look at or to use as a keyframe."""
    content, version = await jobs.service.read_drawing(job_id, jobs.tenant, variant, n)
    headers = {"ETag": f'"{version}"'}
    if not seen.isdisjoint((headers["ETag"], ANY_STATE)):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = content_disposition(f"{job_id}-v{variant}-{n:04d}.png")
    return Response(content, media_type=PNG, headers=headers)
