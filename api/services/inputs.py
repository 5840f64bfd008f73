"""Collect and check the images of a request, and store them for its job."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from anyio import to_thread

from api.schemas.submission import RemoteImage, Source, UploadedImage
from api.services.image_inspection import ImageInspector
from api.services.remote_images import Fetched, RemoteImages, problem_of
from api.services.uploads import Unusable, Uploads
from core.errors import Problem
from core.images.errors import ImageRefused
from core.objects.keys import input_key
from core.objects.storage import ObjectStorage
from core.records.request import StoredImage

UploadResults = Mapping[str, StoredImage | Unusable]  # of uploads, by id


@dataclass(frozen=True)
class Input:
    """An image that a job can use."""

    image: StoredImage
    upload_id: str | None = None  # with which its bytes lie already
    data: bytes = b""  # else they are to be stored with the job
    url: str | None = field(default=None, repr=False)  # from which they were fetched

    @property
    def identity(self) -> str:
        """What stands for the image in the fingerprint of its request."""
        return self.url or self.image.sha256


class Inputs:
    """Judges and stores images for all requests of a gateway."""

    def __init__(
        self,
        uploads: Uploads,
        remote_images: RemoteImages,
        storage: ObjectStorage,
        judge: ImageInspector,
    ) -> None:
        self._uploads = uploads
        self._remote_images = remote_images
        self._storage = storage
        self._judge = judge

    async def judge(
        self, sources: Mapping[str, Source], tenant: str, *, recheck: bool
    ) -> tuple[dict[str, Input], list[Problem]]:
        """Check every image of this tenant's request without storing anything.

        Returns the good images by pointer, in request order, and the problems. Without `recheck`,
        an upload that was good before counts as good, though it may have been deleted since.

        Raises:
            Unavailable: Redis or the storage does not answer about an upload.
        """
        urls = [source.url for source in sources.values() if isinstance(source, RemoteImage)]
        if urls:
            results, fetched = await asyncio.gather(
                self._upload_results(sources, tenant, recheck=recheck),
                self._remote_images.fetch(urls, tenant),
            )
        else:
            results, fetched = await self._upload_results(sources, tenant, recheck=recheck), {}
        found: dict[str, Input | Problem] = {}
        looks = {}
        for pointer, source in sources.items():
            if isinstance(source, UploadedImage):  # of which nothing is to be waited for
                found[pointer] = _judge_upload(pointer, source.upload_id, results)
            else:
                looks[pointer] = self._judge_one(pointer, source, fetched, tenant)
        if looks:
            found.update(zip(looks, await asyncio.gather(*looks.values()), strict=True))
        inputs = {pointer: one for pointer in sources if isinstance(one := found[pointer], Input)}
        return inputs, [one for pointer in sources if isinstance(one := found[pointer], Problem)]

    async def identify(self, sources: Mapping[str, Source], tenant: str) -> list[str]:
        """The `identity` of each image, without fetching or decoding any; of an unusable upload its
        id.

        Raises:
            Unavailable: Redis or the storage does not answer about an upload.
        """
        results = await self._upload_results(sources, tenant, recheck=True)
        return [await _identity(source, results) for source in sources.values()]

    async def store(self, job_id: str, inputs: Mapping[str, Input]) -> None:
        """Store the images that lie nowhere yet under the job's prefix.

        Raises:
            Unavailable: the storage does not answer; some may be stored.
        """
        for one in unstored(inputs):
            key = input_key(job_id, one.image)
            await to_thread.run_sync(self._storage.put, key, one.data, one.image.content_type)

    async def _upload_results(
        self, sources: Mapping[str, Source], tenant: str, *, recheck: bool
    ) -> UploadResults:
        uploaded = {
            source.upload_id for source in sources.values() if isinstance(source, UploadedImage)
        }
        return await self._uploads.results(uploaded, tenant, recheck=recheck) if uploaded else {}

    async def _judge_one(
        self, pointer: str, source: bytes | RemoteImage, fetched: Fetched, tenant: str
    ) -> Input | Problem:
        if isinstance(source, bytes):
            return await self._judge_bytes(pointer, source, tenant)
        answer = fetched[source.url]
        if isinstance(answer, Exception):
            return problem_of(pointer, answer)
        return await self._judge_bytes(pointer, answer, tenant, source.url)

    async def _judge_bytes(
        self, pointer: str, data: bytes, tenant: str, url: str | None = None
    ) -> Input | Problem:
        try:
            return Input(await self._judge.inspect(data, tenant), data=data, url=url)
        except ImageRefused as error:
            return Problem(pointer, error.code, f"the image {error}")


def _judge_upload(pointer: str, upload_id: str, results: UploadResults) -> Input | Problem:
    result = results[upload_id]
    if isinstance(result, Unusable):
        return Problem(f"{pointer}/upload", result.code, result.detail)
    return Input(result, upload_id=upload_id)


async def _identity(source: Source, results: UploadResults) -> str:
    match source:
        case bytes():
            return await to_thread.run_sync(lambda: hashlib.sha256(source).hexdigest())
        case RemoteImage(url):
            return url
        case UploadedImage(upload_id):
            result = results[upload_id]
            return upload_id if isinstance(result, Unusable) else result.sha256


def uploads_of(inputs: Mapping[str, Input]) -> dict[str, str]:
    """For images that lie with an upload, their digest and that upload."""
    return {one.image.sha256: one.upload_id for one in inputs.values() if one.upload_id}


def unstored(inputs: Mapping[str, Input]) -> list[Input]:
    """Images that are to be stored with the job, each once."""
    uploaded = uploads_of(inputs)
    by_digest = {one.image.sha256: one for one in inputs.values()}
    return [one for digest, one in by_digest.items() if digest not in uploaded]
