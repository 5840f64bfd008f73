"""Create uploads, receive their bytes, and decode each of them once."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import structlog
from anyio import to_thread
from cachetools import LRUCache

from api.caller import Caller
from api.services.image_inspection import ImageInspector
from core.errors import (
    AlreadyUploaded,
    InvalidRequest,
    NotFound,
    Problem,
    TooManyUploads,
    Unavailable,
)
from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage, UnsupportedImage
from core.objects.object_keys import ObjectTooLarge, incoming_key, incoming_prefix, upload_key
from core.objects.storage import ObjectStorage
from core.records.ids import UPLOAD_ID_PATTERN, new_upload_id
from core.records.request import StoredImage
from core.records.upload import UploadRecord
from core.settings import Settings
from core.store.uploads import UploadStore

CACHE_SIZE = 4096  # uploads
LINKS = ""  # tenant of images that come by a link, which does not name one

log = structlog.get_logger("api")


class NewUpload(NamedTuple):
    """An upload that waits for its bytes, to be sent to `link`; a mere path is the gateway's."""

    id: str
    link: str
    vanishes_at: datetime


@dataclass(frozen=True)
class Unusable:
    """Why an upload gives no image, as an entry of `errors`."""

    code: str
    detail: str


class Uploads:
    """Serves the uploads of this deployment."""

    def __init__(
        self,
        store: UploadStore,
        storage: ObjectStorage,
        inspector: ImageInspector,
        settings: Settings,
    ) -> None:
        self._store = store
        self._storage = storage
        self._inspector = inspector
        self._life = settings.upload_ttl
        self._max_bytes = settings.max_image
        # by tenant and id; a good image never changes
        self._good: LRUCache[tuple[str, str], StoredImage] = LRUCache(CACHE_SIZE)

    async def create(self, caller: Caller) -> NewUpload:
        """Create an upload and the link for its bytes.

        Raises:
            TooManyUploads: the tenant's uploads would exceed their limit.
            Unavailable: Redis does not answer.
        """
        upload_id = new_upload_id()
        most = caller.limits.max_upload_bytes
        vanishes_at = await self._store.create(
            upload_id, caller.tenant, self._life, max_bytes=self._max_bytes, max_bytes_of_all=most
        )
        if vanishes_at is None:
            raise TooManyUploads(
                f"your uploads may take {most} bytes, of which fewer than {self._max_bytes} are "
                "left"
            )
        return NewUpload(
            upload_id, self._storage.presigned_put(incoming_key(upload_id), self._life), vanishes_at
        )

    async def receive(self, upload_id: str, data: bytes) -> StoredImage:
        """Take the bytes of an upload; sending the same bytes again changes nothing.

        Raises:
            NotFound: there is no such upload (any more).
            InvalidRequest: the bytes are no image; others may be sent instead.
            AlreadyUploaded: other bytes came before.
            Unavailable: Redis or the storage does not answer.
        """
        if not await self._store.read([upload_id], tenant=None):
            raise _gone(upload_id)
        try:
            image = await self._inspector.inspect(data, LINKS)
        except ImageRefused as error:
            raise InvalidRequest.listing([Problem("", error.code, f"the image {error}")]) from None
        kept = await self._keep(upload_id, image, data)
        if kept is None:
            raise _gone(upload_id)
        if kept.image != image:
            raise AlreadyUploaded(
                f"the upload {upload_id} has received another image; a new one needs a new upload"
            )
        return image

    async def inspect(
        self, upload_ids: Iterable[str], tenant: str, *, recheck: bool
    ) -> dict[str, StoredImage | Unusable]:
        """Return the image of each upload of this tenant, or why there is none.

        Args:
            upload_ids: as the caller sent them.
            tenant: whose uploads.
            recheck: ask Redis even if all were good before; they may have expired since.

        Raises:
            Unavailable: Redis or the storage does not answer.
        """
        asked = list(upload_ids)
        cached = {one: image for one in asked if (image := self._good.get((tenant, one)))}
        if not recheck and len(cached) == len(asked):
            return {**cached}
        wellformed = [one for one in asked if re.fullmatch(UPLOAD_ID_PATTERN, one)]
        records: dict[str, UploadRecord | None] = {**await self._store.read(wellformed, tenant)}
        unchecked = [one for one, record in records.items() if record and not record.is_checked]
        checked = await asyncio.gather(*(self._check(one, tenant) for one in unchecked))
        records.update(zip(unchecked, checked, strict=True))
        found = {one: _image_of(one, records.get(one)) for one in asked}
        self._remember(found, tenant)
        return found

    def _remember(self, found: Mapping[str, StoredImage | Unusable], tenant: str) -> None:
        for upload_id, image in found.items():
            if isinstance(image, StoredImage):
                self._good[tenant, upload_id] = image
            else:
                self._good.pop((tenant, upload_id), None)

    async def _check(self, upload_id: str, tenant: str) -> UploadRecord | None:
        """Decode bytes that went past the gateway to the storage.

        Good ones are copied to a key that no link can write.
        """
        try:
            data = await to_thread.run_sync(
                self._storage.get, incoming_key(upload_id), self._max_bytes
            )
            image = await self._inspector.inspect(data, tenant)
        except NotFound:
            return UploadRecord(image=None, problem=None)
        except ObjectTooLarge as error:
            return await self._store.refuse(upload_id, _recorded(ImageOutOfRange(str(error))))
        except ImageRefused as error:
            return await self._store.refuse(upload_id, _recorded(error))
        kept = await self._keep(upload_id, image, data)
        await self._delete(incoming_prefix(upload_id))
        return kept

    async def _keep(self, upload_id: str, image: StoredImage, data: bytes) -> UploadRecord | None:
        """Store a good image, then record it; return what the record says, None if it is gone.

        The first image that is recorded stays.
        """
        await to_thread.run_sync(
            self._storage.put, upload_key(upload_id, image), data, image.content_type
        )
        return await self._store.accept(upload_id, image)

    async def _delete(self, prefix: str) -> None:
        try:
            await to_thread.run_sync(self._storage.delete_prefix, prefix)
        except Unavailable as error:
            log.warning("uploaded bytes stay until expiry", prefix=prefix, error=error.detail)


def _image_of(upload_id: str, record: UploadRecord | None) -> StoredImage | Unusable:
    if record is None:
        return Unusable("upload_not_found", f"Upload {upload_id[:40]!r} not found or expired")
    if record.image:
        return record.image
    if record.problem:
        return _refused(record.problem)
    return Unusable("upload_not_found", f"the bytes of the upload {upload_id!r} have not arrived")


def _recorded(error: ImageRefused) -> str:
    """Return a refusal as the record keeps it: with its code, unless that is the usual one."""
    return str(error) if error.code == UnreadableImage.code else f"{error.code}: {error}"


def _refused(problem: str) -> Unusable:
    """Read a refusal that `_recorded` wrote."""
    code, _, detail = problem.partition(": ")
    if code in (UnsupportedImage.code, ImageOutOfRange.code):
        return Unusable(code, f"the image {detail}")
    return Unusable(UnreadableImage.code, f"the image {problem}")


def _gone(upload_id: str) -> NotFound:
    return NotFound(f"Upload {upload_id} not found or expired")
