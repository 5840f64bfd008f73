"""Read a multipart form: the JSON part `request`, and the files of its images."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.http.bodies import parse_json
from api.schemas.shots import MAX_KEYS, MAX_SKETCHES
from api.schemas.validation import pointer_of
from core.errors import (
    ImageTooLarge,
    InvalidRequest,
    MalformedBody,
    Problem,
    Unavailable,
    UnsupportedMediaType,
)

REQUEST_PART, KEYFRAME_PART, SKETCH_PART = "request", "keyframe", "sketch"
MAX_PARTS = MAX_KEYS + MAX_SKETCHES + 1  # of one form: every image, and the part `request`
# the field whose entries take the files of a name, in order
LISTS = {KEYFRAME_PART: "keyframes", SKETCH_PART: "sketches"}
_MISSPELT = {  # as other services spell lists
    spelling: part
    for part, field in LISTS.items()
    for spelling in (f"{part}[]", field, f"{field}[]")
}

Files = dict[str, bytes]  # by name; those of a list are `keyframe[0]`, `keyframe[1]`, …


async def read_form(request: Request, max_image: int) -> tuple[Any, Files]:
    """Return the fields and the files; a file of a list is named by the entry that takes it.

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


async def _contents(form: FormData, max_image: int) -> tuple[Any, Files]:
    items = [item for item in form.multi_items() if not _is_left_empty(*item)]
    if problems := _strays(items):
        raise InvalidRequest.listing(problems)
    fields: Any = {}
    files: Files = {}
    listed: dict[str, list[str]] = {part: [] for part in LISTS}
    for name, value in items:
        if name == REQUEST_PART:
            fields = parse_json(await value.read() if isinstance(value, UploadFile) else value)
        elif isinstance(value, UploadFile):
            own_name = name
            if name in LISTS:
                own_name = f"{name}[{len(listed[name])}]"
                listed[name].append(own_name)
            files[own_name] = await _read_file(own_name, value, max_image)
    if isinstance(fields, dict):
        fields = {**fields, **_with_files(fields, listed)}
    return fields, files


def _is_left_empty(name: str, value: UploadFile | str) -> bool:
    """Return whether a place for a sketch was not filled: pages send it nevertheless."""
    return name == SKETCH_PART and not (value.size if isinstance(value, UploadFile) else value)


def _with_files(fields: Mapping[str, Any], listed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the lists of a request whose entries without `image` take the files, in order.

    Keyframes that the request does not mention are those of the files.
    """
    changed = {}
    for part, names in listed.items():
        entries = fields.get(LISTS[part])
        if entries is None and part == KEYFRAME_PART:
            entries = [{} for _ in names]
        if names and isinstance(entries, list):
            waiting = iter(names)
            changed[LISTS[part]] = [
                {**entry, "image": {"part": name}}
                if isinstance(entry, dict)
                and entry.get("image") is None
                and (name := next(waiting, None))
                else entry
                for entry in entries
            ]
    return changed


def _strays(items: list[tuple[str, UploadFile | str]]) -> list[Problem]:
    """List parts that have no meaning, or that occur twice."""
    counts = Counter(name for name, _ in items)
    files = {name for name, value in items if isinstance(value, UploadFile)}
    own_names = {f"{part}[{index}]": part for part in LISTS for index in range(counts[part])}
    problems = []
    for name, count in counts.items():
        if name in _MISSPELT:
            reason = f"is unknown; each file must be called `{_MISSPELT[name]}`"
        elif count > 1 and name not in LISTS:
            reason = "occurs twice in the form"
        elif name not in files and name != REQUEST_PART:
            reason = "is no file; other fields belong into the JSON part `request`"
        elif name in own_names:
            reason = f"is what a file called `{own_names[name]}` is named here"
        else:
            continue
        problems.append(Problem(pointer_of([name]), "unknown_field", f"`{name}` {reason}"))
    return problems


async def _read_file(name: str, file: UploadFile, max_image: int) -> bytes:
    if (file.size or 0) > max_image:
        raise ImageTooLarge(f"`{name}` must have at most {max_image} bytes; got {file.size}")
    return await file.read()
