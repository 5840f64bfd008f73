"""Fetch the images that a request names by URL, together and within one time limit."""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from api.services.turns import Turns
from core.errors import Problem
from core.images.errors import ImageOutOfRange
from core.outbound.fetch import Outbound, TooLarge
from core.outbound.urls import UnreachableUrl, UrlRefused
from core.settings import Settings

Fetched = Mapping[str, bytes | UrlRefused | TooLarge]  # by URL

log = structlog.get_logger("api")


class RemoteImages:
    """Fetches for the whole gateway, which bounds what is fetched at the same time.

    Each tenant has fewer turns than the gateway, so slow hosts of one delay no other tenant.
    """

    def __init__(self, outbound: Outbound, settings: Settings) -> None:
        """Nothing is connected yet; the opener of `outbound` closes it."""
        self._outbound = outbound
        self._max_image = settings.max_image
        # all fetches of a request begin at once, so it bounds them together
        self._patience = settings.fetch_timeout
        self._turns = Turns(settings.tenant_fetch_concurrency)

    async def fetch(self, urls: Iterable[str], tenant: str) -> Fetched:
        """Return the bytes at each URL, or why there are none; each URL is fetched once."""
        distinct = list(dict.fromkeys(urls))
        turns = self._turns.of_tenant(tenant)
        answers = await asyncio.gather(*(self._fetch(url, turns) for url in distinct))
        return dict(zip(distinct, answers, strict=True))

    async def _fetch(self, url: str, turns: asyncio.Semaphore) -> bytes | UrlRefused | TooLarge:
        try:
            async with asyncio.timeout(self._patience.total_seconds()), turns:
                return await self._outbound.fetch(
                    url, max_bytes=self._max_image, patience=self._patience
                )
        except TimeoutError:
            return UnreachableUrl(
                f"the answer did not end within {self._patience.total_seconds():g} s"
            )
        except (UrlRefused, TooLarge) as refused:
            log.info("no image by URL", reason=str(refused))  # not the URL: its query may be a key
            return refused


def open_outbound(settings: Settings) -> Outbound:
    """Open the gateway's client for URLs that requests name."""
    return Outbound(settings.allowed_hosts, max_connections=settings.fetch_concurrency)


def problem_of(pointer: str, refused: UrlRefused | TooLarge) -> Problem:
    """Describe what is wrong with the image at `pointer`."""
    if isinstance(refused, TooLarge):
        return Problem(pointer, ImageOutOfRange.code, f"the image {refused}")
    return Problem(f"{pointer}/url", refused.code, str(refused))
