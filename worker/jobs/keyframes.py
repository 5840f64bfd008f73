"""Read a job's keyframes from the object storage."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageFailed
from core.images.pool import Decoders
from core.objects.keys import image_key
from core.objects.storage import ObjectStorage
from core.records.job import Job
from core.records.request import StoredImage


def read_keyframes(job: Job, storage: ObjectStorage, decoders: Decoders) -> list[NDArray[np.uint8]]:
    """Return the drawings as sRGB `(height, width, 3)`, each of its own size.

    The gateway has decoded the same bytes. They are decoded in a process of their own again: code
    that an image runs in a decoder need not show itself the first time.

    Raises:
        StorageFailed: an object is not the one that the gateway accepted.
        NotFound: an object is missing.
        Unavailable: the storage does not answer, or no decoding process can be started.
        ImageRefused: another version of the service accepted it.
    """
    return [_read(job, keyframe.image, storage, decoders) for keyframe in job.request.keyframes]


def _read(
    job: Job, image: StoredImage, storage: ObjectStorage, decoders: Decoders
) -> NDArray[np.uint8]:
    data = storage.get(image_key(job, image))
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise StorageFailed("a keyframe in the storage is not the one that was accepted")
    drawing = decoders.draw(data)
    return np.frombuffer(drawing.pixels, np.uint8).reshape(drawing.height, drawing.width, 3)
