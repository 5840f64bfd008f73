"""Read request bodies: JSON of one meaning, and bytes up to a limit."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.schemas.validation import problems_of
from core.errors import ImageTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType

MAX_VALUES = 20_000  # of one JSON text; each takes a hundred times its bytes of memory
MAX_DIGITS = 4_300  # of a number; Python reads no more, and says so in its own terms

AnyBody = TypeVar("AnyBody", bound=BaseModel)


def json_body(model: type[AnyBody]) -> Callable[[Request], Awaitable[AnyBody]]:
    """Return a dependency that reads a JSON body; without body it is an empty object.

    It raises:
        UnsupportedMediaType: the body is no plain JSON.
        MalformedBody: the JSON is broken.
        InvalidRequest: its fields are not those of the model.
    """

    async def read(request: Request) -> AnyBody:
        text = await request.body()
        if text:
            demand_type(request, "application/json")
        try:
            return model.model_validate(parse_json(text) if text else {})
        except ValidationError as error:
            raise InvalidRequest.listing(problems_of(error, model)) from None

    return read


async def read_limited(request: Request, max_bytes: int) -> bytes:
    """Read the body of an image, of which never more than the limit is held.

    Raises:
        ImageTooLarge: it is announced as larger, or turns out to be.
        UnsupportedMediaType: it is compressed.
    """
    demand_no_encoding(request)
    data = bytearray()
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise ImageTooLarge(f"the image must have at most {max_bytes} bytes; got {announced}")
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise ImageTooLarge(f"the image must have at most {max_bytes} bytes; got more")
    return bytes(data)


def demand_type(request: Request, *wanted: str) -> str:
    """Return the content type of the body, in lower case and without parameters.

    Raises:
        UnsupportedMediaType: it is another one, or the body is compressed.
    """
    demand_no_encoding(request)
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in wanted:
        raise UnsupportedMediaType(
            f"`Content-Type` must be {' or '.join(wanted)}; got {found[:100] or 'none'}"
        )
    return found


def demand_no_encoding(request: Request) -> None:
    """Refuse a compressed body, whose size is unknown before it is unpacked.

    Raises:
        UnsupportedMediaType: `Content-Encoding` names a compression.
    """
    encoding = request.headers.get("content-encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"`Content-Encoding: {encoding[:100]}` is not supported; send the body uncompressed"
        )


def parse_json(text: bytes | str) -> Any:
    """Parse JSON that has one meaning.

    Raises:
        MalformedBody: it is broken, names a field twice, or has too many values.
    """
    data = text.encode() if isinstance(text, str) else text
    # counts inside of strings as well, of which an image in base64 has one comma
    if sum(data.count(mark) for mark in (b",", b"{", b"[")) > MAX_VALUES:
        raise MalformedBody(f"the JSON must have at most {MAX_VALUES} values")
    try:
        return _DECODER.decode(data.decode(json.detect_encoding(data), "surrogatepass"))
    except UnicodeDecodeError:
        raise MalformedBody("the JSON must be text in UTF-8; got other bytes") from None
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"the JSON cannot be read: {error}") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number must have at most {MAX_DIGITS} digits; got {len(digits)}")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`{twice[:100]}` occurs twice in one object")
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_int=_integer, object_pairs_hook=_object
)
