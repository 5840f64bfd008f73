"""Define the keys of stored objects and the checks that every storage makes."""

import re
from datetime import datetime
from typing import NamedTuple

from core.errors import Unavailable
from core.records.ids import UPLOAD_ID_PREFIX
from core.records.job import Job
from core.records.request import StoredImage

JOBS_PREFIX = "jobs/"
UPLOADS_PREFIX = "uploads/"

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class StoredObject(NamedTuple):
    """An object as a listing shows it."""

    key: str
    modified: datetime
    size: int  # bytes


class ObjectTooLarge(ValueError):
    """An object exceeds what its reader takes."""


def checked_key(key: str) -> str:
    """The key as it came, if it names an object and cannot leave its folder.

    Raises:
        ValueError: it does not.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix without the slash at its end.

    Raises:
        ValueError: it has none, or what is before it is no key.
    """
    if not prefix.endswith("/"):
        raise ValueError(f"a prefix has to end in a slash but is {prefix!r}")
    return checked_key(prefix[:-1])


def demand_size(size: int, max_bytes: int | None) -> None:
    """Return if an object of this size may be read.

    Raises:
        ObjectTooLarge: it exceeds the limit.
    """
    if max_bytes is not None and size > max_bytes:
        raise ObjectTooLarge(f"has to have at most {max_bytes} bytes but has {size}")


def storage_unavailable(error: Exception) -> Unavailable:
    """What went wrong with the storage, in words that show no path, address or key."""
    return Unavailable(f"the object storage does not answer ({type(error).__name__})")


def job_prefix(job_id: str) -> str:
    """Return the prefix of all objects of a job; they are deleted with it."""
    return f"{JOBS_PREFIX}{job_id}/"


def image_key(job: Job, image: StoredImage) -> str:
    """Return the key of one of a job's images, whether sent with the request or uploaded before."""
    upload_id = job.uploads.get(image.sha256)
    return upload_key(upload_id, image) if upload_id else input_key(job.id, image)


def input_key(job_id: str, image: StoredImage) -> str:
    """Return the key of an image that came with the request."""
    return f"{job_prefix(job_id)}inputs/{image.sha256}"


def outputs_prefix(job_id: str, fence: int) -> str:
    """Return the prefix of all results of one attempt."""
    return f"{job_prefix(job_id)}outputs/{fence}/"


def output_key(job_id: str, fence: int, name: str) -> str:
    """Return the key of a result. Attempts differ by fence, so a late one overwrites nothing."""
    return f"{outputs_prefix(job_id, fence)}{name}"


def drawing_key(job_id: str, fence: int, variant: int, index: int) -> str:
    """Return the key of one drawing of the result, a PNG image.

    Args:
        job_id: of the job.
        fence: of the attempt that drew it.
        variant: 1 for the first.
        index: in the result, 0 for the first.
    """
    return f"{outputs_prefix(job_id, fence)}drawings/v{variant}.{index:04d}.png"


def segment_prefix(job_id: str, digest: str) -> str:
    """Return the prefix of a finished segment's frames, by the digest of all that made them."""
    return f"{job_prefix(job_id)}segments/{digest}/"


def segment_key(job_id: str, digest: str) -> str:
    """Return the key of a finished segment's frames. Attempts share it: the digest decides."""
    return f"{segment_prefix(job_id, digest)}frames"


def upload_prefix(upload_id: str) -> str:
    """Return the prefix of all objects of an upload; they are deleted with it."""
    return f"{UPLOADS_PREFIX}{upload_id}/"


def upload_key(upload_id: str, image: StoredImage) -> str:
    """Return the key of an uploaded image that was decoded and accepted."""
    return f"{upload_prefix(upload_id)}{image.sha256}"


def incoming_prefix(upload_id: str) -> str:
    """Return the prefix of what was sent to an upload and not decoded yet."""
    return f"{upload_prefix(upload_id)}incoming/"


def incoming_key(upload_id: str) -> str:
    """Return the key that an upload's link writes, possibly more than once."""
    return f"{incoming_prefix(upload_id)}image"


def download_name(key: str) -> str:
    """Return the name under which an object is saved: a result's name after its job's id."""
    parts = key.split("/")
    return f"{parts[1]}-{parts[-1]}" if key.startswith(JOBS_PREFIX) else parts[-1]


def content_disposition(name: str) -> str:
    """Return the header that names a file (RFC 6266); a browser may still show it."""
    return f'inline; filename="{name}"'


def upload_of(key: str) -> str | None:
    """Return the upload whose link writes this key; None for any other kind of key."""
    upload_id = key.removeprefix(UPLOADS_PREFIX).partition("/")[0]
    return upload_id if key == incoming_key(upload_id) else None


def prefix_of(resource_id: str) -> str:
    """Return the prefix of all objects of a job or an upload, by its id."""
    if resource_id.startswith(UPLOAD_ID_PREFIX):
        return upload_prefix(resource_id)
    return job_prefix(resource_id)
