"""Shots as the gateway submits them: keys and sketches in the storage, and the job in Redis."""

import io
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.objects.object_keys import input_key
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.records.request import Keyframe, Sketch, StoredImage
from testkit.jobs import generation_request
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import TTL

Pixels = NDArray[np.uint8]


def png_of(pixels: Pixels) -> bytes:
    """Encode a drawing as a caller's program does."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def image_of(pixels: Pixels) -> StoredImage:
    """Describe a drawing as the gateway does."""
    data = png_of(pixels)
    return StoredImage(
        sha256=sha256(data).hexdigest(),
        content_type="image/png",
        width=pixels.shape[1],
        height=pixels.shape[0],
        bytes=len(data),
        has_alpha=pixels.shape[-1] == 4 and bool((pixels[..., 3] < 255).any()),
    )


def store_image(storage: ObjectStorage, job_id: str, pixels: Pixels) -> StoredImage:
    """Store a drawing below a job."""
    image = image_of(pixels)
    storage.put(input_key(job_id, image), png_of(pixels), image.content_type)
    return image


async def submit_shot(
    jobs: TenantJobs,
    storage: ObjectStorage,
    keys: Sequence[Pixels],
    *,
    about_keys: Sequence[dict[str, Any]] = (),
    sketches: dict[int, Pixels] | None = None,
    **fields: Any,
) -> str:
    """Submit a shot; return its id.

    Args:
        jobs: of a tenant.
        storage: takes the drawings.
        keys: in order.
        about_keys: further fields of each key.
        sketches: by drawing.
        fields: of the request.
    """
    job_id = new_job_id()
    about = about_keys or [{}] * len(keys)
    request = generation_request(
        keyframes=[
            Keyframe(image=store_image(storage, job_id, key), **own)
            for key, own in zip(keys, about, strict=True)
        ],
        sketches=[
            Sketch(image=store_image(storage, job_id, sketch), frame=frame)
            for frame, sketch in (sketches or {}).items()
        ],
        **fields,
    )
    await jobs.submit(job_id, request, metadata={}, ttl=TTL, request_id="shot")
    return job_id
