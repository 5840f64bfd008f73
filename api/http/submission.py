"""Read a submission, as JSON or as a form, and describe both for the contract."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.dependencies import CurrentSettings
from api.http.bodies import demand_type, parse_json
from api.schemas.data_uris import decode_data_uri
from api.schemas.jobs import BODY_EXAMPLE, ImageSource, InterpolationBody
from api.schemas.submission import RemoteImage, Source, Submission, UploadedImage
from api.schemas.validation import pointer_of, problems_of
from core.errors import (
    ImageTooLarge,
    InvalidRequest,
    MalformedBody,
    Problem,
    Unavailable,
    UnsupportedMediaType,
)
from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage

REQUEST_PART, KEYFRAME_PART = "request", "keyframe"
MAX_PARTS = 32  # files of one form
_MISSPELT = frozenset({"keyframe[]", "keyframes", "keyframes[]"})  # as other services spell lists
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
        fields, parts = await _read_form(request, settings.max_image)
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
        pointer = f"/keyframes/{index}/image"
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


async def _read_form(request: Request, max_image: int) -> tuple[Any, dict[str, bytes]]:
    """Return the fields and the files; files called `keyframe` become keyframes in their order.

    Raises:
        MalformedBody: the form or its JSON is broken.
        ImageTooLarge: a file exceeds the limit.
        InvalidRequest: a part has no meaning.
        UnsupportedMediaType: its charset is not UTF-8.
        Unavailable: large files find no room in the temporary folder.
    """
    _, options = parse_options_header(request.headers["content-type"])
    # callers could choose among Python's codecs, some of which take hours
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"us-ascii"):
        raise UnsupportedMediaType("the charset of a form must be utf-8")
    async with aclosing(request.stream()) as stream:
        parser = _WholeForm(
            request.headers,
            stream,
            max_files=MAX_PARTS,
            max_fields=MAX_PARTS,
            max_part_size=max_image * 3,
        )
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise MalformedBody(f"the multipart form cannot be read: {error.message}") from None
        except OSError as error:
            reason = f"the gateway has no room for the form ({type(error).__name__}); try again"
            raise Unavailable(reason) from error
    try:
        return await _contents(form, max_image)
    finally:
        await form.close()


class _WholeForm(MultiPartParser):
    """Refuses a form that was cut; Starlette's parser drops the unfinished part instead."""

    def __init__(self, headers: Headers, stream: AsyncIterator[bytes], **limits: int) -> None:
        super().__init__(headers, self._to_its_end(stream), **limits)
        self._ended = False

    def on_end(self) -> None:
        """Note that the closing boundary was read."""
        self._ended = True

    async def _to_its_end(self, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._ended:
            raise MultiPartException("it ends before its closing boundary")


async def _contents(form: FormData, max_image: int) -> tuple[Any, dict[str, bytes]]:
    items = form.multi_items()
    if problems := _strays(items):
        raise InvalidRequest.of(problems)
    fields: Any = {}
    parts: dict[str, bytes] = {}
    keyframes: list[dict[str, Any]] = []
    for name, value in items:
        if name == REQUEST_PART:
            fields = parse_json(await value.read() if isinstance(value, UploadFile) else value)
        elif isinstance(value, UploadFile):
            part = name
            if name == KEYFRAME_PART:
                part = f"{KEYFRAME_PART}[{len(keyframes)}]"
                keyframes.append({"image": {"part": part}})
            parts[part] = await _read_file(part, value, max_image)
    if keyframes and isinstance(fields, dict):
        if "keyframes" in fields:
            reason = "is in `request` and as files called `keyframe`; send one of them"
            raise InvalidRequest.of([_stray("keyframes", reason)])
        fields = {**fields, "keyframes": keyframes}
    return fields, parts


def _strays(items: list[tuple[str, UploadFile | str]]) -> list[Problem]:
    """List parts that have no meaning, or that occur twice."""
    counts = Counter(name for name, _ in items)
    files = {name for name, value in items if isinstance(value, UploadFile)}
    own_names = {f"{KEYFRAME_PART}[{index}]" for index in range(counts[KEYFRAME_PART])}
    problems = []
    for name, count in counts.items():
        if name in _MISSPELT:
            reason = f"is unknown; each file must be called `{KEYFRAME_PART}`"
        elif count > 1 and name != KEYFRAME_PART:
            reason = "occurs twice in the form"
        elif name not in files and name != REQUEST_PART:
            reason = "is no file; other fields belong into the JSON part `request`"
        elif name in own_names:
            reason = f"is what a file called `{KEYFRAME_PART}` is named here"
        else:
            continue
        problems.append(_stray(name, reason))
    return problems


async def _read_file(name: str, file: UploadFile, max_image: int) -> bytes:
    if (file.size or 0) > max_image:
        raise ImageTooLarge(f"`{name}` must have at most {max_image} bytes; got {file.size}")
    return await file.read()


def _stray(name: str, reason: str) -> Problem:
    return Problem(pointer_of([name]), "unknown_field", f"`{name}` {reason}")
