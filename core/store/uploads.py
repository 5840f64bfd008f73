"""Store uploads in Redis: images that are sent before the jobs that use them.

An upload is a link that takes bytes. They are checked once, and the outcome stays. The checked
bytes are stored under a key that the link does not cover, so they cannot be replaced afterwards.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from core.records.base import from_milliseconds
from core.records.request import StoredImage
from core.records.upload import UploadRecord
from core.store.client import AsyncRedis


class UploadStore:
    """Uploads in Redis for the gateway.

    Every call answers or raises `Unavailable` within a second.
    """

    def __init__(self, redis: AsyncRedis) -> None:
        self._run = redis.script("uploads")

    async def create(
        self, upload_id: str, tenant: str, life: timedelta, *, max_bytes: int, max_bytes_of_all: int
    ) -> datetime | None:
        """Make an upload that waits for its bytes.

        Args:
            upload_id: of `new_upload_id`.
            tenant: whose it is.
            life: how long it stays unless a job uses it.
            max_bytes: how large it may be; it counts as that large until its bytes are checked.
            max_bytes_of_all: how large all uploads of the tenant may be together.

        Returns:
            When it expires unless a job uses it; None if it would exceed the tenant's limit.
        """
        expires = await self._run("create", upload_id, tenant, life, max_bytes, max_bytes_of_all)
        return None if expires < 0 else from_milliseconds(expires)

    async def read(self, upload_ids: Iterable[str], tenant: str | None) -> dict[str, UploadRecord]:
        """Return those of the uploads that exist for this tenant.

        Args:
            upload_ids: of any form.
            tenant: who asks; None if a signed link authorizes the call.
        """
        asked = list(upload_ids)
        answers = zip(asked, await self._run("read", tenant, *asked), strict=True)
        return {upload_id: record for upload_id, answer in answers if (record := _parse(answer))}

    async def accept(self, upload_id: str, image: StoredImage) -> UploadRecord | None:
        """Note that the bytes are this image; return the outcome that stays, None if it expired.

        An earlier outcome is not replaced.
        """
        stored = image.model_dump_json()
        return _parse(await self._run("check", upload_id, "image", stored, image.bytes))

    async def refuse(self, upload_id: str, problem: str) -> UploadRecord | None:
        """Note what is wrong with the bytes; return what `accept` does."""
        return _parse(await self._run("check", upload_id, "problem", problem, ""))


def _parse(answer: list[Any]) -> UploadRecord | None:
    life, image, problem = answer
    if not life:
        return None
    return UploadRecord(StoredImage.model_validate_json(image) if image else None, problem)
