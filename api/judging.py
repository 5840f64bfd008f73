"""What an image is, or what is wrong with it: decoded off the event loop, a few at a time."""

import hashlib

from anyio import CapacityLimiter, to_thread

from core.images import inspect_image
from core.job import StoredImage

# a decoded image of the largest size takes 130 to 260 MB; the others wait, with their bytes only
DECODERS = 4


class ImageJudge:
    """Decodes for all requests of a gateway, so that together they hold at most `DECODERS` decoded images."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._decoders = CapacityLimiter(DECODERS)

    async def judge(self, data: bytes) -> StoredImage:
        """What these bytes are, once the whole image was decoded.

        Raises:
            UnreadableImage: broken, too large, or of another format.
        """
        return await to_thread.run_sync(_describe, data, self._max_pixels, limiter=self._decoders)


def _describe(data: bytes, max_pixels: int) -> StoredImage:
    facts = inspect_image(data, max_pixels=max_pixels)
    return StoredImage(
        sha256=hashlib.sha256(data).hexdigest(),
        content_type=facts.content_type,
        width=facts.width,
        height=facts.height,
        bytes=len(data),
    )
