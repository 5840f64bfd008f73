"""Define where keyframes and results are stored: an S3 bucket or a local folder.

Keys are unique (job, attempt, digest), so nothing is ever overwritten and no conditional write is
needed; several S3-compatible servers ignore those silently.
"""

from datetime import timedelta
from pathlib import Path
from typing import Protocol

from core.objects.body import Check
from core.objects.local import LocalStorage
from core.objects.object_keys import StoredObject
from core.objects.s3 import PATIENT, Patience, S3Storage, s3_client
from core.objects.signed_links import SignedLinks
from core.settings import Settings


class ObjectStorage(Protocol):
    """Bytes under keys such as `jobs/itp_…/outputs/1/video.mp4`. Blocking; safe to use from several
    threads.

    Every call raises `Unavailable` where the storage does not answer or refuses.
    """

    def put(self, key: str, data: bytes, content_type: str, check: Check | None = None) -> None:
        """Store an object, whole or not at all.

        `check` is called between pieces of the upload; what it raises ends the upload.
        """

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        """Read an object; raises `NotFound` where there is none and `ObjectTooLarge` beyond the
        limit.
        """

    def delete_prefix(self, prefix: str) -> None:
        """Delete every object whose key begins with `prefix`, which has to end in a slash."""

    def list_page(self, prefix: str, after: str, limit: int) -> list[StoredObject]:
        """Objects whose keys begin with `prefix` and sort after `after`, `limit` at most, in the
        keys' order.
        """

    def delete_abandoned(self, age: timedelta) -> None:
        """Delete partial objects older than `age`, left by writers that were killed."""

    def presigned_url(self, key: str, expires: timedelta, content_type: str) -> str:
        """A link under which anybody may read the object for a while; one that is only a path leads
        to the gateway.
        """

    def presigned_put(self, key: str, expires: timedelta) -> str:
        """A link to which anybody may send the object for a while; one that is only a path leads to
        the gateway.
        """

    def local_path(self, key: str) -> Path | None:
        """The file that holds the object; None where it lies on no disk of this machine."""

    def ping(self) -> None:
        """Return if objects can be read and written."""


def open_storage(settings: Settings, patience: Patience = PATIENT) -> ObjectStorage:
    """The storage that the settings name; `patience` is for a bucket."""
    if settings.s3_bucket:
        signer = None
        if settings.s3_public_endpoint_url:
            signer = s3_client(
                settings.model_copy(update={"s3_endpoint_url": settings.s3_public_endpoint_url})
            )
        return S3Storage(
            s3_client(settings, patience), settings.s3_bucket, settings.s3_prefix, signer
        )
    return LocalStorage(
        settings.state_dir / "objects", SignedLinks(settings.state_dir / "links.secret")
    )
