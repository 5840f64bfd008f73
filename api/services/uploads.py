"""Create uploads, receive their bytes and inspect them once, free of HTTP."""

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
from core.objects.keys import ObjectTooLarge, incoming_key, incoming_prefix, upload_key
from core.objects.storage import ObjectStorage
from core.records.ids import UPLOAD_ID_PATTERN, new_upload_id
from core.records.request import StoredImage
from core.records.upload import UploadRecord
from core.settings import Settings
from core.store.uploads import UploadStore

CACHE_SIZE = 4096  # uploads
LINKS = ""  # all who hold a link wait for a decoder as one tenant: a link does not say whose it is

log = structlog.get_logger("api")


class NewUpload(NamedTuple):
    """An upload that waits for its bytes. `link` takes them; one that is only a path leads to this
    gateway.
    """

    id: str
    link: str
    vanishes_at: datetime


@dataclass(frozen=True)
class Unusable:
    """Why an upload gives no image, as `errors[]` tells it."""

    code: str
    detail: str


class Uploads:
    """The uploads of this deployment, as the gateway serves them."""

    def __init__(
        self,
        store: UploadStore,
        storage: ObjectStorage,
        judge: ImageInspector,
        settings: Settings,
    ) -> None:
        self._store = store
        self._storage = storage
        self._judge = judge
        self._life = settings.upload_ttl
        self._max_bytes = settings.max_image
        # by tenant and id; a good image never changes
        self._seen_good: LRUCache[tuple[str, str], StoredImage] = LRUCache(CACHE_SIZE)

    async def create(self, caller: Caller) -> NewUpload:
        """Make an upload and a link to which its bytes are sent.

        Raises:
            TooManyUploads: it would be more than the tenant may have.
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
        """Take the bytes of an upload whose link leads to this gateway; sending the same ones again
        changes nothing.

        Raises:
            NotFound: there is no such upload (any more).
            InvalidRequest: the bytes are no image that we read; others may be sent instead.
            AlreadyUploaded: other bytes came before.
            Unavailable: Redis or the storage does not answer.
        """
        if not await self._store.read([upload_id], tenant=None):
            raise _gone(upload_id)
        try:
            image = await self._judge.inspect(data, LINKS)
        except ImageRefused as error:
            raise InvalidRequest.of([Problem("", error.code, f"the image {error}")]) from None
        standing = await self._keep(upload_id, image, data)
        if standing is None:
            raise _gone(upload_id)
        if standing.image != image:
            raise AlreadyUploaded(
                f"the upload {upload_id} has received another image; a new one needs a new upload"
            )
        return image

    async def results(
        self, upload_ids: Iterable[str], tenant: str, *, recheck: bool
    ) -> dict[str, StoredImage | Unusable]:
        """Return what each upload of this tenant holds.

        Asks Redis once, and the storage for uploads that were not inspected yet. Without
        `recheck`, uploads found good before are answered from memory; they may be gone since.

        Raises:
            Unavailable: Redis or the storage does not answer.
        """
        asked = list(upload_ids)
        remembered = {one: image for one in asked if (image := self._seen_good.get((tenant, one)))}
        if not recheck and len(remembered) == len(asked):
            return {**remembered}
        wellformed = [
            upload_id for upload_id in asked if re.fullmatch(UPLOAD_ID_PATTERN, upload_id)
        ]
        known = await self._store.read(wellformed, tenant)
        unseen = [upload_id for upload_id, record in known.items() if not record.is_checked]
        seen = (
            dict(
                zip(
                    unseen,
                    await asyncio.gather(*(self._look_at(one, tenant) for one in unseen)),
                    strict=True,
                )
            )
            if unseen
            else {}
        )
        records: dict[str, UploadRecord | None] = {**known, **seen}
        results = {upload_id: _result(upload_id, records.get(upload_id)) for upload_id in asked}
        self._remember(results, tenant)
        return results

    def _remember(self, results: Mapping[str, StoredImage | Unusable], tenant: str) -> None:
        for upload_id, result in results.items():
            if isinstance(result, StoredImage):
                self._seen_good[tenant, upload_id] = result
            else:
                self._seen_good.pop((tenant, upload_id), None)

    async def _look_at(self, upload_id: str, tenant: str) -> UploadRecord | None:
        """Inspect bytes that were stored by a presigned link.

        They are copied to a key that no link covers, so they cannot be replaced afterwards.
        """
        try:
            data = await to_thread.run_sync(
                self._storage.get, incoming_key(upload_id), self._max_bytes
            )
            image = await self._judge.inspect(data, tenant)
        except NotFound:
            return UploadRecord(image=None, problem=None)
        except ObjectTooLarge as error:
            return await self._store.refuse(upload_id, _recorded(ImageOutOfRange(str(error))))
        except ImageRefused as error:
            return await self._store.refuse(upload_id, _recorded(error))
        standing = await self._keep(upload_id, image, data)
        await self._delete(incoming_prefix(upload_id))
        return standing

    async def _keep(self, upload_id: str, image: StoredImage, data: bytes) -> UploadRecord | None:
        """Store inspected bytes, then record the result.

        Returns the upload's record, whose first result is final; None if the upload is gone.
        """
        await to_thread.run_sync(
            self._storage.put, upload_key(upload_id, image), data, image.content_type
        )
        return await self._store.accept(upload_id, image)

    async def _delete(self, prefix: str) -> None:
        try:
            await to_thread.run_sync(self._storage.delete_prefix, prefix)
        except Unavailable as error:
            log.warning(
                "bytes of a judged upload stay until it vanishes", prefix=prefix, error=error.detail
            )


def _result(upload_id: str, record: UploadRecord | None) -> StoredImage | Unusable:
    if record is None:
        return Unusable(
            "upload_not_found",
            f"there is no upload {upload_id[:40]!r}; one that no job uses vanishes",
        )
    if record.image:
        return record.image
    if record.problem:
        return _refused(record.problem)
    return Unusable("upload_not_found", f"the bytes of the upload {upload_id!r} have not arrived")


def _recorded(error: ImageRefused) -> str:
    """The refusal as the upload's record keeps it: with its code, unless that is the usual one."""
    return str(error) if error.code == UnreadableImage.code else f"{error.code}: {error}"


def _refused(problem: str) -> Unusable:
    """The refusal that `_recorded` wrote."""
    code, _, detail = problem.partition(": ")
    if code in (UnsupportedImage.code, ImageOutOfRange.code):
        return Unusable(code, f"the image {detail}")
    return Unusable(UnreadableImage.code, f"the image {problem}")


def _gone(upload_id: str) -> NotFound:
    return NotFound(f"there is no upload {upload_id}; one that no job uses vanishes")
