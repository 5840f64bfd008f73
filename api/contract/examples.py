"""Examples of the contract: what a call may send, and what comes back. Tests hold each to its
schema.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.errors import all_errors, problem_document
from api.schemas.jobs import InterpolationBody, JobPage
from core.errors import InvalidRequest, Problem, ServiceError
from core.records.job import Job, JobState, Timing
from core.records.request import GenerationRequest, Keyframe, StoredImage
from core.records.view import JobView, OutputView
from core.records.worker import ModelInfo

JOB_ID = "itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W"
REQUEST_ID = "01K9T3E50C2V8J4W6X7Y8Z9A0B"
_CREATED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

# a flat teal and a flat yellow drawing of 96 x 64 pixels: the example is a request that works
_TEAL, _GOLD = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAGAAAABAAQMAAADf+uBNAAAAA1BMVEUAgIBxQSaxAAAAEElEQVR42mNgGAWjYBSQCwADQAAB8oOzpwAAAABJRU5ErkJggg==",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAGAAAABAAQMAAADf+uBNAAAAA1BMVEX/1wDXm1rvAAAAEElEQVR42mNgGAWjYBSQCwADQAAB8oOzpwAAAABJRU5ErkJggg==",
)
FIELDS_EXAMPLE = {"prompt": "a fox jumps over a brook", "steps": 25, "seed": 7}
BODY_EXAMPLE = {
    "keyframes": [{"image": {"data": _TEAL}}, {"image": {"data": _GOLD}}],
    **FIELDS_EXAMPLE,
}

EVENTS_EXAMPLE = f"""\
retry: 2000
: events of this job follow

event: progress
id: 3
data: {{"stage": "denoising", "step": 23, "steps": 50, "percent": 46.0, "eta_seconds": 5.2}}

event: status
id: 9
data: {{"id": "{JOB_ID}", "version": 9, "status": "succeeded"}}

"""


def job_examples() -> dict[str, Any]:
    """A job that waits, and one that has succeeded."""
    ended = _job(
        version=9,
        status=JobState.SUCCEEDED,
        started_at=_CREATED + timedelta(seconds=0.4),
        finished_at=_CREATED + timedelta(seconds=11.8),
        timing=Timing(
            queued_seconds=0.4, run_seconds=11.4, denoise_seconds=9.8, decode_seconds=0.9
        ),
        model=ModelInfo(
            name="tooncrafter_512_interp",
            trained=True,
            weights="sha256:5d1b…",
            dtype="float16",
            device="NVIDIA H200",
        ),
        attempts=1,
    )
    output = OutputView(
        name="video.mp4",
        format="mp4",
        content_type="video/mp4",
        bytes=81_234,
        sha256="9f2c…",
        width=512,
        height=320,
        frames=16,
        fps=8,
        url=f"http://127.0.0.1:8000/v1/interpolations/{JOB_ID}/outputs/video.mp4",
        url_expires_at=ended.expires_at,
    )
    return {
        "queued": {"summary": "It waits.", "value": _shown(JobView.of(_job(), 0, []))},
        "succeeded": {
            "summary": "It has ended well.",
            "value": _shown(JobView.of(ended, None, [output])),
        },
    }


def page_example() -> Any:
    """A list of one job, and more to come."""
    return _shown(JobPage(data=[JobView.of(_job(), 0, [])], next_cursor=JOB_ID))


def problem_examples() -> dict[str, Any]:
    """A problem document for each error that a request may meet, by code."""
    examples = {
        kind.code: kind(str(kind.__doc__).split(";")[0].rstrip(".")) for kind in all_errors()
    }
    examples[InvalidRequest.code] = InvalidRequest.of(
        [
            Problem(
                "/keyframes/1/image", "unreadable_image", "the image is no PNG, JPEG, WebP or TIFF"
            ),
            Problem("/steps", "out_of_range", "`steps` has to be at most 60 but is 200"),
        ]
    )
    return {code: _as_example(error) for code, error in examples.items()}


def _as_example(error: ServiceError) -> dict[str, Any]:
    return {"summary": error.title, "value": problem_document(error, REQUEST_ID)}


def _job(**changes: Any) -> Job:
    image = StoredImage(
        sha256="3b1f…", content_type="image/png", width=512, height=320, bytes=81_234
    )
    understood = InterpolationBody.model_validate(BODY_EXAMPLE).model_dump(
        include=set(GenerationRequest.model_fields)
    )
    request = understood | {"keyframes": [Keyframe(image=image)] * 2, "width": 512, "height": 320}
    fields = {
        "id": JOB_ID,
        "version": 1,
        "status": JobState.QUEUED,
        "created_at": _CREATED,
    } | changes
    return Job(
        expires_at=_CREATED + timedelta(days=7),
        request=GenerationRequest.model_validate(request),
        **fields,
    )


def _shown(model: JobView | JobPage) -> Any:
    return model.model_dump(mode="json")


def sampled(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value of a schema, put together from the examples and defaults of its fields."""
    if "$ref" in schema:
        return sampled(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for key in ("const", "default", "example"):
        if key in schema:
            return schema[key]
    if found := schema.get("examples") or schema.get("enum"):
        return found[0]
    if ways := schema.get("anyOf") or schema.get("allOf"):
        return sampled(ways[0], schemas)
    if "properties" in schema:
        return {name: sampled(field, schemas) for name, field in schema["properties"].items()}
    if schema.get("type") == "array":
        return [sampled(schema["items"], schemas)]
    return {"string": "…", "integer": 0, "number": 0.0, "boolean": True, "object": {}}.get(
        schema.get("type", "")
    )
