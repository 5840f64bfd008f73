"""How often a tenant may call in any minute, counted in Redis for all gateways together, second by
second of its clock.

A gateway takes calls ahead, a hundredth of the limit at a time, so that most of them need no trip
of their own. What is taken is counted, so the limit holds however many gateways there are; each may
keep up to a hundredth unused.
"""

import math
from typing import NamedTuple

from core.store.client import AsyncRedis
from core.store.keys import RATE
from core.store.lua.common import COMMON

WINDOW_SECONDS = 60

# A second's calls count until the same second of the next minute has ended: so no minute, wherever
# it begins, has more than the limit, and a caller that never pauses has sixty of sixty-one.
#
# ARGV: whose calls, limit, how many are wanted. Answer: how many were given, are taken now, ms
# until some of these are free again.
_LEASE = (
    COMMON
    + f"""
local at, key, taken = now(), '{RATE}' .. ARGV[1], 0
local second = math.floor(at / 1000)
local oldest, seconds = second, redis.call('HGETALL', key)
for i = 1, #seconds, 2 do
  local past = tonumber(seconds[i])
  if past < second - {WINDOW_SECONDS} then
    redis.call('HDEL', key, seconds[i])
  else
    taken, oldest = taken + seconds[i + 1], math.min(oldest, past)
  end
end
local given = math.max(0, math.min(tonumber(ARGV[3]), ARGV[2] - taken))
if given > 0 then
  redis.call('HINCRBY', key, second, given)
  redis.call('EXPIRE', key, {WINDOW_SECONDS + 1})
end
return {{given, taken + given, (oldest + {WINDOW_SECONDS + 1}) * 1000 - at}}
"""
)


class Lease(NamedTuple):
    """Calls that a gateway may let through."""

    given: int
    taken: int  # by all gateways in the last minute, these included
    seconds: float  # until the oldest of those count no more


class AsyncRates:
    """The counters. Calls answer or raise `Unavailable` within a second."""

    def __init__(self, redis_url: str) -> None:
        self._redis = AsyncRedis(redis_url)
        self._lease = self._redis.script(_LEASE)

    async def lease(self, whose: str, limit: int) -> Lease:
        """Take up to a hundredth of the limit."""
        given, taken, left = await self._lease(whose, limit, math.ceil(limit / 100))
        return Lease(given, taken, left / 1000)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()
