"""Submit a job, read it, download its result."""

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from api.bodies import KEYFRAME_PART, REQUEST_PART, read_submission
from api.dependencies import BaseUrl, CurrentSettings, InterpolationsService, RequestIdentity
from api.schemas import PROBLEM_RESPONSE, JobView, OutputView
from api.service import Interpolations
from core.job import Job

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])

POLL_AFTER_SECONDS = 1

_SUBMISSION_DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InterpolationBody"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        KEYFRAME_PART: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "The keyframes, in order.",
                        },
                        REQUEST_PART: {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "description": "All other fields, as JSON; without `keyframes`.",
                        },
                    },
                }
            },
        },
    }
}

_DOWNLOAD_ANSWERS: dict[int | str, dict[str, Any]] = {
    304: {"description": "The caller has the file already."},
    307: {"description": "The file lies at `Location`."},
    404: PROBLEM_RESPONSE,
    503: PROBLEM_RESPONSE,
}

JobId = Annotated[str, Path(description="`itp_` and a ULID.", examples=["itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])]


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    openapi_extra=_SUBMISSION_DOC,
    responses=dict.fromkeys((400, 413, 415, 422, 503), PROBLEM_RESPONSE),
)
async def submit(
    request: Request,
    response: Response,
    interpolations: InterpolationsService,
    settings: CurrentSettings,
    base_url: BaseUrl,
    request_id: RequestIdentity,
) -> JobView:
    """Accept two keyframes and animate between them; the answer is the job, to be polled at its `Location`."""
    submission = await read_submission(request, max_image=settings.max_image)
    job = await interpolations.submit(submission, request_id)
    response.headers["Location"] = f"/v1/interpolations/{job.id}"
    response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    return _view(job, None, interpolations, base_url)


@router.get("/{job_id}", response_model=JobView, responses=dict.fromkeys((404, 503), PROBLEM_RESPONSE))
async def read(job_id: JobId, interpolations: InterpolationsService, base_url: BaseUrl) -> JobView:
    """The job as it stands now."""
    job, position = await interpolations.get(job_id)
    return _view(job, position, interpolations, base_url)


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
    if if_none_match and {"*", etag} & {known.strip().removeprefix("W/") for known in if_none_match.split(",")}:
        return Response(status_code=304, headers={"ETag": etag})
    return FileResponse(place, media_type=output.content_type, headers={"ETag": etag})


def _view(job: Job, position: int | None, interpolations: Interpolations, base_url: str) -> JobView:
    outputs = []
    for output in job.outputs:
        own = f"{base_url}/v1/interpolations/{job.id}/outputs/{output.name}", job.expires_at
        url, until = interpolations.link(job, output) or own
        outputs.append(OutputView(**output.model_dump(), url=url, url_expires_at=until))
    return JobView.of(job, position, outputs)
