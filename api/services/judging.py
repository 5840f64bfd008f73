"""What an image is, or what is wrong with it: decoded a few at a time, in processes that it cannot
harm.
"""

import hashlib

from anyio import CapacityLimiter, to_thread

from api.services.fair_turns import FairTurns
from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from core.records.request import StoredImage
from core.settings import Settings


class ImageJudge:
    """Decodes for all requests of a gateway, in as many processes as the settings say.

    Other images wait; the next is that of another tenant, if one waits, so that nobody waits for
    all images of a flood.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is started yet."""
        self._decoders = Decoders(DecoderLimits.of(settings))
        self._turns = FairTurns(settings.decoders)
        self._threads = CapacityLimiter(settings.decoders)

    async def judge(self, data: bytes, tenant: str) -> StoredImage:
        """What these bytes are, once the whole image was decoded. Who is canceled amid that waits
        for it as well.

        Args:
            data: the file.
            tenant: in whose turn it is decoded.

        Raises:
            UnreadableImage: broken, too large, of another format, or too much for a decoder.
            Unavailable: no process can be made, or it got no time to compute.
        """
        async with self._turns.turn(tenant):
            return await to_thread.run_sync(self._describe, data, limiter=self._threads)

    async def close(self) -> None:
        """End all processes."""
        await to_thread.run_sync(self._decoders.close)

    def _describe(self, data: bytes) -> StoredImage:
        facts = self._decoders.inspect(data)
        return StoredImage(
            sha256=hashlib.sha256(data).hexdigest(),  # not in the decoder's process, which may lie
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
            bytes=len(data),
        )
