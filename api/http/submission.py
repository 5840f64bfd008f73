"""Read a submission, as JSON or as a form, and describe both for the contract."""

from typing import Any

from fastapi import Request
from pydantic import ValidationError

from api.http.bodies import demand_type, parse_json
from api.http.forms import KEYFRAME_PART, REQUEST_PART, SKETCH_PART, read_form
from api.http.shot_checks import problems_of_shot
from api.schemas.interpolation import BODY_EXAMPLE, InterpolationBody
from api.schemas.shots import MAX_KEYS, MAX_SKETCHES
from api.schemas.submission import Submission, readable_images, readable_shot
from api.schemas.validation import pointer_of, problems_of
from core.errors import Problem

JSON, FORM = "application/json", "multipart/form-data"
_IMAGES = "image/png, image/jpeg, image/webp, image/tiff"
_FILE = {"type": "string", "format": "binary"}

SUBMISSION_DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {"$ref": "#/components/schemas/InterpolationBody"},
                "example": BODY_EXAMPLE,
            },
            FORM: {
                "schema": {
                    "type": "object",
                    "description": "Files called `keyframe`, or the part `request`, or both.",
                    # `anyOf` would say which, and generators make no type of such a form
                    "minProperties": 1,
                    "properties": {
                        KEYFRAME_PART: {
                            "type": "array",
                            "items": _FILE,
                            "minItems": 2,
                            "maxItems": MAX_KEYS,
                            "description": "The keyframes, in order. Entries of `keyframes` in "
                            "`request` that have no `image` take them one by one; without "
                            "`keyframes` there, each file is one.",
                        },
                        SKETCH_PART: {
                            "type": "array",
                            "items": _FILE,
                            "maxItems": MAX_SKETCHES,
                            "example": [],  # the page that tries calls would send an empty one
                            "description": "The images of those entries of `sketches` in `request` "
                            "that have none, in order.",
                        },
                        REQUEST_PART: {"$ref": "#/components/schemas/InterpolationFields"},
                    },
                    "additionalProperties": {
                        **_FILE,
                        "description": "A file to which a `part` of the request refers.",
                    },
                },
                "encoding": {
                    KEYFRAME_PART: {"contentType": _IMAGES},
                    SKETCH_PART: {"contentType": _IMAGES},
                    REQUEST_PART: {"contentType": JSON},
                },
            },
        },
    }
}


async def read_submission(request: Request) -> Submission:
    """Read the body in either form.

    Raises:
        UnsupportedMediaType: it is neither JSON nor a form.
        MalformedBody: the bytes are not what the content type says.
        ImageTooLarge: a file exceeds the limit.
        InvalidRequest: a part of the form has no meaning.
    """
    files: dict[str, bytes] = {}
    if demand_type(request, JSON, FORM) == JSON:
        fields = parse_json(await request.body())
    else:
        fields, files = await read_form(request, request.state.settings.max_image)
    return _validated(fields, files)


def _validated(fields: Any, files: dict[str, bytes]) -> Submission:
    """Find the images even if a field is wrong, so that the caller hears of all problems."""
    body: InterpolationBody | None = None
    problems: list[Problem] = []
    try:
        body = InterpolationBody.model_validate(fields)
    except ValidationError as error:
        problems += problems_of(error, InterpolationBody)
    if shot := body or readable_shot(fields):
        problems += problems_of_shot(shot)
    images = dict(body.images() if body else readable_images(fields))
    unused = files.keys() - {source.part for source in images.values()}
    problems += [
        Problem(
            pointer_of([name]), "unknown_field", f"no field of `request` takes the file `{name}`"
        )
        for name in sorted(unused)
    ]
    return Submission(body, images, files, problems)
