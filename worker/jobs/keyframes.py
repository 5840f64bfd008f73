"""Read a job's keyframes and sketches from the object storage."""

import hashlib
from typing import NamedTuple

import numpy as np

from core.errors import StorageFailed
from core.images.pool import Decoders
from core.objects.object_keys import image_key
from core.objects.storage import ObjectStorage
from core.records.job import Job
from core.records.request import StoredImage
from worker.frames.framing import Pixels


class Sources(NamedTuple):
    """The drawings of a request: sRGB, `(height, width, 3 or 4)`, each of its own size."""

    keys: list[Pixels]
    sketches: list[Pixels]


def read_sources(job: Job, storage: ObjectStorage, decoders: Decoders) -> Sources:
    """Return a job's drawings, with alpha where some pixel is not opaque.

    The gateway has decoded the same bytes. They are decoded in a process of their own again: code
    that an image runs in a decoder need not show itself the first time.

    Raises:
        StorageFailed: an object is not the one that the gateway accepted.
        NotFound: an object is missing.
        Unavailable: the storage does not answer, or no decoding process can be started.
        ImageRefused: another version of the service accepted it.
    """
    known: dict[str, Pixels] = {}

    def read(image: StoredImage) -> Pixels:
        if image.sha256 not in known:
            known[image.sha256] = _read(job, image, storage, decoders)
        return known[image.sha256]

    return Sources(
        keys=[read(keyframe.image) for keyframe in job.request.keyframes],
        sketches=[read(sketch.image) for sketch in job.request.sketches],
    )


def _read(job: Job, image: StoredImage, storage: ObjectStorage, decoders: Decoders) -> Pixels:
    data = storage.get(image_key(job, image))
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise StorageFailed("a drawing in the storage is not the one that was accepted")
    drawing = decoders.draw(data)
    levels = np.frombuffer(drawing.pixels, np.uint8)
    return levels.reshape(drawing.height, drawing.width, drawing.channels)
