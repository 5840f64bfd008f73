"""How often a tenant may call, counted in Redis for all gateways together, by the minute of Redis's clock.

A gateway takes calls ahead, a hundredth of the limit at a time, so that most of them need no trip of their own. What is
taken is counted, so the limit holds however many gateways there are; each may keep up to a hundredth unused.
"""

import math
from typing import NamedTuple

from core.async_redis import AsyncRedis
from core.keys import RATE
from core.lua_common import COMMON

WINDOW_SECONDS = 60

# ARGV: whose calls, limit, how many are wanted. Answer: how many were given, are taken now, ms until all is anew.
_LEASE = (
    COMMON
    + f"""
local length, at = {WINDOW_SECONDS * 1000}, now()
local key = '{RATE}' .. ARGV[1] .. ':' .. math.floor(at / length)
local taken = tonumber(redis.call('GET', key) or 0)
local given = math.max(0, math.min(tonumber(ARGV[3]), ARGV[2] - taken))
if given > 0 then
  redis.call('INCRBY', key, given)
  redis.call('PEXPIRE', key, 2 * length)
end
return {{given, taken + given, length - at % length}}
"""
)


class Lease(NamedTuple):
    """Calls that a gateway may let through."""

    given: int
    taken: int  # by all gateways in this minute, these included
    seconds: float  # until the minute ends, and with it this lease


class AsyncRates:
    """The counters. Calls answer or raise `Unavailable` within a second."""

    def __init__(self, redis_url: str) -> None:
        self._redis = AsyncRedis(redis_url)
        self._lease = self._redis.script(_LEASE)

    async def lease(self, whose: str, limit: int) -> Lease:
        """Take up to a hundredth of what is left to this minute's calls."""
        given, taken, left = await self._lease(whose, limit, math.ceil(limit / 100))
        return Lease(given, taken, left / 1000)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()
