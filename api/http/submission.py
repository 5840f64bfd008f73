"""Read a submission, as JSON or as a form, and describe both for the contract."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import ValidationError

from api.dependencies import CurrentSettings
from api.http.bodies import demand_type, parse_json
from api.http.forms import KEYFRAME_PART, REQUEST_PART, read_form
from api.schemas.data_uris import decode_data_uri
from api.schemas.jobs import BODY_EXAMPLE, ImageSource, InterpolationBody
from api.schemas.submission import RemoteImage, Source, Submission, UploadedImage
from api.schemas.validation import pointer_of, problems_of
from core.errors import Problem
from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage

JSON, FORM = "application/json", "multipart/form-data"
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
                            "maxItems": 2,
                            "description": "The keyframes, in order.",
                        },
                        REQUEST_PART: {"$ref": "#/components/schemas/InterpolationFields"},
                    },
                    "additionalProperties": {
                        **_FILE,
                        "description": "A file to which a `part` of the request refers.",
                    },
                },
                "encoding": {
                    KEYFRAME_PART: {"contentType": "image/png, image/jpeg, image/webp, image/tiff"},
                    REQUEST_PART: {"contentType": JSON},
                },
            },
        },
    }
}


async def read_submission(request: Request, settings: CurrentSettings) -> Submission:
    """Read the body in either form.

    Raises:
        UnsupportedMediaType: it is neither JSON nor a form.
        MalformedBody: the bytes are not what the content type says.
        ImageTooLarge: a file exceeds the limit.
        InvalidRequest: a part of the form has no meaning.
    """
    parts: dict[str, bytes] = {}
    if demand_type(request, JSON, FORM) == JSON:
        fields = parse_json(await request.body())
    else:
        fields, parts = await read_form(request, settings.max_image)
    return _validated(fields, parts, settings.max_image)


SentSubmission = Annotated[Submission, Depends(read_submission)]


def _validated(fields: Any, parts: dict[str, bytes], max_image: int) -> Submission:
    """Look at the images even if a field is wrong, so that the caller hears of all problems."""
    body: InterpolationBody | None = None
    problems: list[Problem] = []
    images: dict[str, Source] = {}
    try:
        body = InterpolationBody.model_validate(fields)
    except ValidationError as error:
        problems += problems_of(error, InterpolationBody)
    unused = set(parts)
    for index, source in (
        enumerate(frame.image for frame in body.keyframes) if body else _image_sources(fields)
    ):
        pointer = pointer_of(["keyframes", index, "image"])
        try:
            images[pointer] = _source_of(source, parts, max_image)
        except ImageRefused as error:
            problems.append(Problem(pointer, error.code, f"the image {error}"))
        unused.discard(source.part or "")
    problems += [
        Problem(pointer_of([name]), "unknown_field", f"no field refers to the file `{name}`")
        for name in sorted(unused)
    ]
    return Submission(body, images, problems)


def _image_sources(fields: Any) -> Iterator[tuple[int, ImageSource]]:
    """Yield the images of a body in which something else is wrong."""
    keyframes = fields.get("keyframes") if isinstance(fields, dict) else None
    for index, keyframe in enumerate(keyframes if isinstance(keyframes, list) else []):
        if isinstance(keyframe, dict):
            with suppress(ValidationError):  # it is reported with the other fields
                yield index, ImageSource.model_validate(keyframe.get("image"))


def _source_of(source: ImageSource, parts: dict[str, bytes], max_image: int) -> Source:
    if source.url is not None:
        return RemoteImage(source.url)
    if source.upload is not None:
        return UploadedImage(source.upload)
    if source.part is not None:
        if source.part not in parts:
            raise UnreadableImage(f"refers to the part {source.part!r}, which the form lacks")
        return parts[source.part]
    data = decode_data_uri(source.data or "")
    if len(data) > max_image:
        raise ImageOutOfRange(f"must have at most {max_image} bytes; got {len(data)}")
    return data
