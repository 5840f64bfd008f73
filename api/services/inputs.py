"""Collect the images of a request, decode them, and store them for its job."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from anyio import to_thread

from api.schemas.data_uris import decode_data_uri
from api.schemas.images import ImageSource
from api.schemas.submission import Submission
from api.services.image_inspection import ImageInspector
from api.services.remote_images import RemoteImages, problem_of
from api.services.uploads import Unusable, Uploads
from core.errors import Problem
from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage
from core.objects.object_keys import input_key
from core.objects.storage import ObjectStorage
from core.records.request import StoredImage
from core.settings import Settings

Uploaded = Mapping[str, StoredImage | Unusable]  # by id of the upload


@dataclass(frozen=True)
class Input:
    """An image that a job can use."""

    image: StoredImage
    upload_id: str | None = None  # its bytes are stored with this upload
    data: bytes = b""  # else they are to be stored with the job
    url: str | None = field(default=None, repr=False)  # from which they were fetched

    @property
    def identity(self) -> str:
        """Return what stands for the image in the fingerprint of its request."""
        return self.url or self.image.sha256


@dataclass
class Inputs:
    """Inspects and stores images for all requests of a gateway."""

    uploads: Uploads
    remote_images: RemoteImages
    storage: ObjectStorage
    inspector: ImageInspector
    settings: Settings

    async def inspect(
        self, submission: Submission, tenant: str, *, recheck: bool
    ) -> tuple[dict[str, Input], list[Problem]]:
        """Look at every image of a request; nothing is stored.

        Args:
            submission: as it was sent.
            tenant: whose request it is.
            recheck: ask again for uploads that were good before; they may have expired since.

        Returns:
            The good images by pointer, in the same order, and a problem for each other one.

        Raises:
            Unavailable: Redis or the storage does not answer about an upload.
        """
        sources = submission.images
        uploaded = await self._uploaded(sources, tenant, recheck=recheck)
        urls = [source.url for source in sources.values() if source.url is not None]
        fetched = await self.remote_images.fetch(urls, tenant) if urls else {}

        async def look(pointer: str, source: ImageSource) -> Input | Problem:
            if source.upload is not None:
                return _uploaded_input(pointer, source.upload, uploaded)
            try:
                answer = (
                    self._sent(source, submission.files)
                    if source.url is None
                    else fetched[source.url]
                )
                if isinstance(answer, Exception):
                    return problem_of(pointer, answer)
                image = await self.inspector.inspect(answer, tenant)
            except ImageRefused as error:
                return Problem(pointer, error.code, f"the image {error}")
            return Input(image, data=answer, url=source.url)

        looks = await asyncio.gather(*(look(pointer, one) for pointer, one in sources.items()))
        found = dict(zip(sources, looks, strict=True))
        inputs = {pointer: one for pointer, one in found.items() if isinstance(one, Input)}
        return inputs, [one for one in looks if isinstance(one, Problem)]

    async def identify(self, submission: Submission, tenant: str) -> dict[str, str]:
        """Return the `identity` of each image by pointer, without fetching or decoding any.

        An unusable upload is represented by its id.

        Raises:
            ImageRefused: an image is not even there.
            Unavailable: Redis or the storage does not answer about an upload.
        """
        uploaded = await self._uploaded(submission.images, tenant, recheck=True)

        async def identity(source: ImageSource) -> str:
            if source.upload is not None:
                image = uploaded[source.upload]
                return source.upload if isinstance(image, Unusable) else image.sha256
            if source.url is not None:
                return source.url
            data = self._sent(source, submission.files)
            return await to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())

        return {pointer: await identity(source) for pointer, source in submission.images.items()}

    def _sent(self, source: ImageSource, files: Mapping[str, bytes]) -> bytes:
        """Return an image that came with the request.

        Raises:
            ImageRefused: it is too large, no base64, or a file that did not come.
        """
        if source.part is not None:
            if source.part not in files:
                raise UnreadableImage(f"refers to the part {source.part!r}, which the form lacks")
            return files[source.part]
        data = decode_data_uri(source.data or "")
        if len(data) > self.settings.max_image:
            raise ImageOutOfRange(
                f"must have at most {self.settings.max_image} bytes; got {len(data)}"
            )
        return data

    async def store(self, job_id: str, inputs: Mapping[str, Input]) -> None:
        """Store the images that are not stored yet under the job's prefix.

        Raises:
            Unavailable: the storage does not answer; some may be stored.
        """
        for one in unstored(inputs):
            key = input_key(job_id, one.image)
            await to_thread.run_sync(self.storage.put, key, one.data, one.image.content_type)

    async def _uploaded(
        self, sources: Mapping[str, ImageSource], tenant: str, *, recheck: bool
    ) -> Uploaded:
        ids = {source.upload for source in sources.values() if source.upload is not None}
        return await self.uploads.inspect(ids, tenant, recheck=recheck) if ids else {}


def _uploaded_input(pointer: str, upload_id: str, uploaded: Uploaded) -> Input | Problem:
    image = uploaded[upload_id]
    if isinstance(image, Unusable):
        return Problem(f"{pointer}/upload", image.code, image.detail)
    return Input(image, upload_id=upload_id)


def uploads_of(inputs: Mapping[str, Input]) -> dict[str, str]:
    """Return the upload of each image that has one, by digest."""
    return {one.image.sha256: one.upload_id for one in inputs.values() if one.upload_id}


def unstored(inputs: Mapping[str, Input]) -> list[Input]:
    """Return the images that are to be stored with the job, each once."""
    uploaded = uploads_of(inputs)
    by_digest = {one.image.sha256: one for one in inputs.values()}
    return [one for digest, one in by_digest.items() if digest not in uploaded]
