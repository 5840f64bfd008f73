"""How often a tenant may call in any minute, counted in Redis for all gateways together, second by
second of its clock.

A gateway takes calls ahead, a hundredth of the limit at a time, so that most of them need no trip
of their own. What is taken is counted, so the limit holds however many gateways there are; each may
keep up to a hundredth unused.
"""

import math
from typing import NamedTuple

from core.store.client import AsyncRedis

WINDOW_SECONDS = 60


class Lease(NamedTuple):
    """Calls that a gateway may let through."""

    given: int
    taken: int  # by all gateways in the last minute, these included
    seconds: float  # until the oldest of those count no more


class RateCounters:
    """The counters. Calls answer or raise `Unavailable` within a second."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._run = redis.script("rates")

    async def lease(self, whose: str, limit: int) -> Lease:
        """Take up to a hundredth of the limit."""
        given, taken, left = await self._run("lease", whose, limit, math.ceil(limit / 100))
        return Lease(given, taken, left / 1000)
