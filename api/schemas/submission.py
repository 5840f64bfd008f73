"""A submission as it was read from a JSON body or a form, before its images are looked at."""

from dataclasses import dataclass, field

from api.schemas.jobs import InterpolationBody
from core.errors import Problem


@dataclass(frozen=True)
class UploadedImage:
    """An image that was sent before."""

    upload_id: str


@dataclass(frozen=True)
class RemoteImage:
    """An image at a URL. The URL may hold a key, so it is never shown."""

    url: str = field(repr=False)


# where an image comes from: the request itself, an upload, or another host
Source = bytes | UploadedImage | RemoteImage


@dataclass(frozen=True)
class Submission:
    """A request as far as it could be read; `images` holds the source of each by JSON pointer."""

    body: InterpolationBody | None  # None if a field is wrong; `problems` then names it
    images: dict[str, Source]
    problems: list[Problem]
