"""A body as it was sent, before its images are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.schemas.images import ImageSource
from api.schemas.interpolation import InterpolationBody
from core.errors import Problem


@dataclass(frozen=True)
class Submission:
    """A request as far as it could be read.

    Attributes:
        body: None if a field is wrong; `problems` then names it.
        images: where each image comes from, by JSON pointer and in the order of the body.
        files: of a form, by the name to which an image's `part` refers.
        problems: of the fields and of the form.
    """

    body: InterpolationBody | None
    images: Mapping[str, ImageSource]
    files: Mapping[str, bytes] = field(repr=False)
    problems: list[Problem]
