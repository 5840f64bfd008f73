"""Decode images of requests, a few at a time, in expendable processes."""

import hashlib

from anyio import CapacityLimiter, to_thread

from api.services.turns import FairTurns
from core.images.decoder import DecoderLimits
from core.images.pool import Decoders
from core.records.request import StoredImage
from core.settings import Settings


class ImageInspector:
    """Decodes for all requests of a gateway, in as many processes as the settings say.

    Further images wait, and tenants take turns: a flood of images delays another tenant's image
    by those under way and one more.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is started yet."""
        self._decoders = Decoders(DecoderLimits.from_settings(settings))
        self._turns = FairTurns(settings.decoders)
        self._threads = CapacityLimiter(settings.decoders)

    async def inspect(self, data: bytes, tenant: str) -> StoredImage:
        """Decode a whole file and describe it. A canceled call waits for its decoder as well.

        Args:
            data: the file.
            tenant: whose turn is used.

        Raises:
            ImageRefused: damaged, not supported, too large, or too much for a decoder.
            Unavailable: no process can be started, or it got no CPU.
        """
        async with self._turns.turn(tenant):
            return await to_thread.run_sync(self._describe, data, limiter=self._threads)

    async def close(self) -> None:
        """End all processes."""
        await to_thread.run_sync(self._decoders.close)

    def _describe(self, data: bytes) -> StoredImage:
        facts = self._decoders.inspect(data)
        return StoredImage(
            sha256=hashlib.sha256(data).hexdigest(),  # computed here: the decoder is not trusted
            content_type=facts.content_type,
            width=facts.width,
            height=facts.height,
            bytes=len(data),
            has_alpha=facts.has_alpha,
        )
