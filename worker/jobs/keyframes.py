"""A job's drawings, from the storage into the model's hands."""

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
    """The drawings as `(height, width, 3)`, RGB, each of its own size.

    The gateway has judged these very bytes. They are decoded in a process of its own all the same:
    what a hole in a decoder lets run need not make a fuss when it is judged.

    Raises:
        StorageFailed: an object is not the one that was judged.
        NotFound: an object is gone.
        Unavailable: the storage does not answer, or no process can be made that decodes.
        UnreadableImage: it was judged by another version.
    """
    return [
        _read(image_key(job, key.image), key.image, storage, decoders)
        for key in job.request.keyframes
    ]


def _read(
    key: str, image: StoredImage, storage: ObjectStorage, decoders: Decoders
) -> NDArray[np.uint8]:
    data = storage.get(key)
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise StorageFailed("a keyframe in the storage is not the one that was judged")
    drawing = decoders.draw(data)
    return np.frombuffer(drawing.pixels, np.uint8).reshape(drawing.height, drawing.width, 3)
