"""A body as it was sent, before its images are looked at, and what is good of a wrong one."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from api.schemas.body import KINDS
from api.schemas.images import ImageSource
from api.schemas.interpolation import InterpolationBody
from core.errors import Problem
from core.records.webhook import MessageForm

_SIDES = ("width", "height")  # which have a rule of their own, and no part in the timeline
# Fields that place all other things on the timeline; without them little can be said of those.
_PLACING = frozenset({"frames_between", "loop", "frame", *InterpolationBody.IMAGE_LISTS})


@dataclass(frozen=True)
class Submission:
    """A request as far as it could be read.

    Attributes:
        body: None if a field is wrong; `problems` then names it.
        images: where each image comes from, by JSON pointer and in the order of the body.
        files: of a form, by the name to which an image's `part` refers.
        problems: of the fields and of the form.
        form: of the messages to its webhook.
    """

    body: InterpolationBody | None
    images: Mapping[str, ImageSource]
    files: Mapping[str, bytes] = field(repr=False)
    problems: list[Problem]
    form: MessageForm = "interpolation"


def readable_images(fields: Any) -> Iterator[tuple[str, ImageSource]]:
    """Yield the images that are well described, by JSON pointer."""
    for name in InterpolationBody.IMAGE_LISTS:
        for index, entry in enumerate(_entries(fields, name)):
            if isinstance(entry, dict):
                with suppress(ValidationError):  # it is reported with the other fields
                    image = ImageSource.model_validate(entry.get("image"))
                    yield f"/{name}/{index}/image", image


def readable_shot(fields: Any) -> InterpolationBody | None:
    """Return the body without the fields that are wrong, if its timeline can still be told."""
    if not isinstance(fields, dict):
        return None
    rest = {name: value for name, value in fields.items() if name not in _SIDES}
    for name in InterpolationBody.IMAGE_LISTS:
        if name in fields:
            rest[name] = [
                {**entry, "image": {"part": ""}} if isinstance(entry, dict) else entry
                for entry in _entries(fields, name)
            ]
    try:
        return InterpolationBody.model_validate(rest)
    except ValidationError as error:
        rest = {name: _copied(value) for name, value in rest.items()}
        for entry in error.errors(include_url=False, include_context=False, include_input=False):
            if not _drop(rest, [part for part in entry["loc"] if part not in KINDS]):
                return None
    with suppress(ValidationError):
        return InterpolationBody.model_validate(rest)
    return None


def _copied(value: Any) -> Any:
    """Copy a list and its entries, from which `_drop` removes; what is below may be very deep."""
    if not isinstance(value, list):
        return value
    return [dict(entry) if isinstance(entry, dict) else entry for entry in value]


def _entries(fields: Any, name: str) -> list[Any]:
    entries = fields.get(name) if isinstance(fields, dict) else None
    return entries if isinstance(entries, list) else []


def _drop(fields: dict[str, Any], location: list[str | int]) -> bool:
    """Remove the field of a problem; return whether the timeline can still be told."""
    if not location:  # the body itself, such as a field's name that is no Unicode
        return False
    name, *inner = location
    if name not in fields:
        return True  # another problem in the same field removed it
    parent: Any = fields
    if name in ("keyframes", "outputs") and len(inner) > 1 and inner[1] != "format":
        parent, name = fields[str(name)][inner[0]], inner[1]
    parent.pop(name, None)
    return name == "sketches" or name not in _PLACING
