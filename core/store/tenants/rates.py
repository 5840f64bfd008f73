"""Limit the calls of a tenant per minute, counted in Redis for all gateways.

A gateway takes calls in advance, a hundredth of the limit at a time, so that most calls need no
trip to Redis. Calls taken in advance count, so the limit holds for any number of gateways; each
gateway may leave up to a hundredth of it unused.
"""

import math
from typing import NamedTuple

from core.store.client import AsyncRedis

WINDOW_SECONDS = 60


class Lease(NamedTuple):
    """Calls that a gateway may let through."""

    given: int
    taken: int  # by all gateways in the last minute, these included
    seconds: float  # until the oldest of those stop counting


class RateCounters:
    """Counts calls. Answers or raises `Unavailable` within a second."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._run = redis.script("rates")

    async def lease(self, whose: str, limit: int) -> Lease:
        """Take up to a hundredth of the limit."""
        given, taken, left = await self._run("lease", whose, limit, math.ceil(limit / 100))
        return Lease(given, taken, left / 1000)
