"""The two forms of a submission, JSON and multipart, to one validated request with its image
bytes.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from api.http.raw_headers import header
from api.schemas.data_uris import decode_data_uri
from api.schemas.jobs import ImageSource, InterpolationBody, UploadBody
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
MAX_PARTS = 32  # files of one form; a request has two keyframes
# of one JSON text, about; each costs a hundred times its bytes, while all other callers wait
MAX_VALUES = 20_000


AnyBody = TypeVar("AnyBody", bound=BaseModel)


async def read_submission(request: Request, *, max_image: int) -> Submission:
    """Read the body in either form.

    Raises:
        UnsupportedMediaType: neither JSON nor multipart.
        MalformedBody: the bytes are not what the content type says.
        ImageTooLarge: an uploaded file exceeds the limit.
        InvalidRequest: the form holds fields where they do not belong.
    """
    content_type = _content_type(request)
    if content_type == "application/json":
        fields: Any = _parse_json(await _whole_body(request))
        parts: dict[str, bytes] = {}
    elif content_type == "multipart/form-data":
        fields, parts = await _parse_form(request, max_image)
    else:
        raise UnsupportedMediaType(
            "the content type has to be application/json or multipart/form-data but is "
            f"{content_type or 'missing'}"
        )
    return _validate(fields, parts, max_image)


async def demand_empty_body(request: Request) -> None:
    """Return if the request says nothing: no body, or an empty JSON object.

    Raises:
        UnsupportedMediaType: a body that is no JSON.
        MalformedBody: broken JSON.
        InvalidRequest: it has fields.
    """
    if await request.body():
        await read_json(request, UploadBody)


async def read_json(request: Request, model: type[AnyBody]) -> AnyBody:
    """The body of a small request.

    Raises:
        UnsupportedMediaType: it is no JSON.
        MalformedBody: broken JSON.
        InvalidRequest: its fields are not those of the model.
    """
    if _content_type(request) != "application/json":
        raise UnsupportedMediaType(
            f"a body has to be application/json but is {_content_type(request) or 'untyped'}"
        )
    try:
        return model.model_validate(_parse_json(await request.body()))
    except ValidationError as error:
        raise InvalidRequest.of(problems_of(error)) from None


async def read_limited(request: Request, max_bytes: int) -> bytes:
    """The body, of which never more than the limit is held.

    Raises:
        ImageTooLarge: it is announced as larger, or turns out to be.
    """
    data = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise ImageTooLarge(f"the image has to have at most {max_bytes} bytes but has {announced}")
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise ImageTooLarge(f"the image has to have at most {max_bytes} bytes but has more")
    return bytes(data)


async def _whole_body(request: Request) -> bytes:
    """As `request.body`, which goes through a generator and keeps what nobody asks for again."""
    parts = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _content_type(request: Request) -> str:
    return (header(request.scope, b"content-type") or "").partition(";")[0].strip().lower()


def _parse_json(text: bytes | str) -> Any:
    """Plain values of a text that has one reading.

    Raises:
        MalformedBody: it is no JSON, says something twice, or has too many values.
    """
    if len(text) > MAX_VALUES and _count_marks(text) > MAX_VALUES:
        raise MalformedBody(f"the JSON has to have at most {MAX_VALUES} values")
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the JSON cannot be read: {error}") from None


def _count_marks(text: bytes | str) -> int:
    """What parts or opens values; those inside of strings count too, of which an image in base64
    has one.
    """
    return (
        text.count(b",") + text.count(b"{") + text.count(b"[")
        if isinstance(text, bytes)
        else _count_marks(text.encode())
    )


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice[:100]}` stands there twice")
    return found


# `json.loads` would make one for each text
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object)


async def _parse_form(request: Request, max_image: int) -> tuple[Any, dict[str, bytes]]:
    """The fields of the `request` part, and the files by part name; files called `keyframe` by
    their order.
    """
    charset = (
        parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8").lower()
    )
    # else callers choose among Python's codecs, some of which take hours
    if charset not in (b"utf-8", b"us-ascii"):
        raise UnsupportedMediaType("the charset of a form has to be utf-8")
    async with aclosing(request.stream()) as stream:
        parser = WholeForm(
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
        except OSError as error:  # large files of a form pass through the temporary folder
            raise Unavailable(
                f"the gateway has no room for the form ({type(error).__name__}); try again"
            ) from error
    try:
        return await _read_form(form, max_image)
    finally:
        await form.close()


class WholeForm(MultiPartParser):
    """A form that was cut is malformed; Starlette's parser takes it for a whole one and drops the
    unfinished part.
    """

    def __init__(self, headers: Headers, stream: AsyncIterator[bytes], **limits: int) -> None:
        super().__init__(headers, self._to_its_end(stream), **limits)
        self._ended = False

    def on_end(self) -> None:
        """The closing boundary was read."""
        self._ended = True

    async def _to_its_end(self, stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._ended:
            raise MultiPartException("it ends before its closing boundary")


async def _read_form(form: FormData, max_image: int) -> tuple[Any, dict[str, bytes]]:
    fields: Any = {}
    parts: dict[str, bytes] = {}
    keyframes: list[dict[str, Any]] = []
    names = [name for name, _ in form.multi_items() if name != KEYFRAME_PART]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidRequest.of([_stray(name, "stands in the form twice") for name in twice])
    for name, value in form.multi_items():
        if name == REQUEST_PART:
            fields = _parse_json(await value.read() if isinstance(value, UploadFile) else value)
        elif not isinstance(value, UploadFile):
            raise InvalidRequest.of(
                [_stray(name, "is no file; other fields belong into the JSON part `request`")]
            )
        else:
            if name == KEYFRAME_PART:
                name = f"{KEYFRAME_PART}[{len(keyframes)}]"
                keyframes.append({"image": {"part": name}})
                if name in names:
                    raise InvalidRequest.of(
                        [_stray(name, f"is what a file called `{KEYFRAME_PART}` is known by here")]
                    )
            parts[name] = await _read_file(name, value, max_image)
    if keyframes and isinstance(fields, dict):
        if "keyframes" in fields:
            raise InvalidRequest.of(
                [_stray("keyframes", "stands in `request` and as files called `keyframe`")]
            )
        fields = {**fields, "keyframes": keyframes}
    return fields, parts


async def _read_file(name: str, file: UploadFile, max_image: int) -> bytes:
    if (file.size or 0) > max_image:
        raise ImageTooLarge(f"`{name}` has to have at most {max_image} bytes but has {file.size}")
    return await file.read()


def _validate(fields: Any, parts: dict[str, bytes], max_image: int) -> Submission:
    """Look at the images even where a field is wrong, so that the caller hears of everything at
    once.
    """
    body: InterpolationBody | None = None
    problems: list[Problem] = []
    images: dict[str, Source] = {}
    try:
        body = InterpolationBody.model_validate(fields)
    except ValidationError as error:
        problems += problems_of(error)
    unused = set(parts)
    for index, source in (
        enumerate(frame.image for frame in body.keyframes) if body else _image_sources(fields)
    ):
        pointer = _image_pointer(index)
        try:
            images[pointer] = _source_of(source, parts, max_image)
        except ImageRefused as error:
            problems.append(Problem(pointer, error.code, f"the image {error}"))
        unused.discard(source.part or "")
    problems += [_stray(name, "is a file that no field refers to") for name in sorted(unused)]
    return Submission(body, images, problems)


@lru_cache(maxsize=16)
def _image_pointer(index: int) -> str:
    return pointer_of(["keyframes", index, "image"])


def _image_sources(fields: Any) -> Iterator[tuple[int, ImageSource]]:
    """The images that can be found in a body in which something else is wrong."""
    keyframes = fields.get("keyframes") if isinstance(fields, dict) else None
    for index, keyframe in enumerate(keyframes if isinstance(keyframes, list) else []):
        if isinstance(keyframe, dict):
            with suppress(ValidationError):  # reported with the other fields
                yield index, ImageSource.model_validate(keyframe.get("image"))


def _source_of(source: ImageSource, parts: dict[str, bytes], max_image: int) -> Source:
    if source.url is not None:
        return RemoteImage(source.url)
    if source.upload is not None:
        return UploadedImage(source.upload)
    if source.part is not None:
        if source.part not in parts:
            raise UnreadableImage(f"names the part {source.part!r}, which the form does not hold")
        return parts[source.part]
    data = decode_data_uri(source.data or "")
    if len(data) > max_image:
        raise ImageOutOfRange(f"must have at most {max_image} bytes; got {len(data)}")
    return data


def _stray(name: str, detail: str) -> Problem:
    return Problem(pointer_of([name]), "unknown_field", f"`{name}` {detail}")
