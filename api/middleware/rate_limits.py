"""Limit how often callers with a key may call, by shares leased from the counters in Redis."""

import asyncio
import math
import time
from dataclasses import dataclass, field

from cachetools import LRUCache

from api.caller import Caller
from api.errors import rate_headers
from core.errors import RateLimited
from core.store.tenants.rates import WINDOW_SECONDS, AsyncRates, Lease

CACHE_SIZE = 4096  # shares: one for each tenant or key, and policy
SHARE_SECONDS = 10.0  # how long leased calls may be used


@dataclass
class _Share:
    """What is left of a lease; times by `time.monotonic`."""

    lease: Lease = field(default_factory=lambda: Lease(0, 0, 0.0))
    ends: float = 0.0  # then Redis is asked again
    frees: float = 0.0  # then the oldest counted calls leave the window
    left: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_used_up(self, now: float) -> bool:
        """Return whether Redis has to be asked for more."""
        return now >= self.ends or (self.left == 0 and self.lease.given > 0)

    def take(self, lease: Lease, now: float) -> None:
        """Use what Redis gave."""
        self.lease, self.left, self.frees = lease, lease.given, now + lease.seconds
        self.ends = now + SHARE_SECONDS if self.left else self.frees


class RateLimits:
    """Counts submissions and all other calls apart."""

    def __init__(self, rates: AsyncRates) -> None:
        self._rates = rates
        self._shares: LRUCache[str, _Share] = LRUCache(CACHE_SIZE)

    async def admit(self, caller: Caller, *, submits: bool) -> dict[str, str]:
        """Count a call and return the headers that tell what is left; callers without key pass.

        Raises:
            RateLimited: the limit of the last minute is reached.
            Unavailable: Redis does not answer.
        """
        if caller.key is None:
            return {}
        policy = "submissions" if submits else "reads"
        field_name = f"{policy}_per_minute"
        limit: int = getattr(caller.limits, field_name)
        own_key = caller.key.id if field_name in caller.key.limits else ""
        share = await self._lease(f"{caller.tenant}:{own_key}:{policy}", limit)
        seconds = min(WINDOW_SECONDS, max(1, math.ceil(share.frees - time.monotonic())))
        if share.left == 0:
            reached = f"Limit of {limit} {policy} per minute reached"
            raise RateLimited(reached, seconds, policy=policy, limit=limit)
        share.left -= 1
        return rate_headers(policy, limit, limit - share.lease.taken + share.left, seconds)

    async def _lease(self, counter: str, limit: int) -> _Share:
        share = self._shares.setdefault(counter, _Share())
        if share.is_used_up(time.monotonic()):
            async with share.lock:
                now = time.monotonic()
                if share.is_used_up(now):  # no other request asked while this one waited
                    share.take(await self._rates.lease(counter, limit), now)
        return share
