"""How often callers with a key may call: this gateway's share, and what answers say of it.

Headers: draft-ietf-httpapi-ratelimit-headers-10.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field

from api.caller import Caller
from api.services.newest import Newest
from core.errors import RateLimited
from core.store.tenants.rates import WINDOW_SECONDS, AsyncRates, Lease

MOST_REMEMBERED = 4096  # tenants and keys, twice
KEPT_SECONDS = 10.0  # so long calls that were taken ahead may be made
SUBMISSIONS, READS = "submissions", "reads"


@dataclass
class _Share:
    """What is left of a lease."""

    lease: Lease = field(default_factory=lambda: Lease(0, 0, 0.0))
    ends: float = 0.0  # by time.monotonic(): when Redis is asked anew
    frees: float = 0.0  # when some more calls may be made than now
    left: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_used_up(self, now: float) -> bool:
        """Whether Redis is to be asked for more."""
        return now >= self.ends or (self.left == 0 and self.lease.given > 0)

    def take(self, lease: Lease, now: float) -> None:
        """What Redis gave."""
        self.lease, self.left, self.frees = lease, lease.given, now + lease.seconds
        self.ends = now + KEPT_SECONDS if self.left else self.frees


class Rates:
    """Lets calls through or refuses them."""

    def __init__(self) -> None:
        self._shares: Newest[str, _Share] = Newest(MOST_REMEMBERED)

    async def admit(
        self, caller: Caller, policy: str, rates: AsyncRates
    ) -> list[tuple[bytes, bytes]]:
        """Count a call; answers the headers that tell how many more there may be, in ASGI's form.

        Callers without a key are not counted.

        Raises:
            RateLimited: as many came in the last minute as may.
            Unavailable: Redis does not answer.
        """
        if caller.key is None:
            return []
        field_name = f"{policy}_per_minute"
        limit: int = getattr(caller.limits, field_name)
        whose = (
            f"{caller.tenant}:{caller.key.id if field_name in caller.key.limits else ''}:{policy}"
        )
        share = self._share(whose)
        if share.is_used_up(time.monotonic()):
            async with share.lock:
                if share.is_used_up(now := time.monotonic()):  # still, after whoever was before us
                    share.take(await rates.lease(whose, limit), now)
        seconds = min(WINDOW_SECONDS, max(1, math.ceil(share.frees - time.monotonic())))
        if share.left == 0:
            headers = _headers(policy, limit, 0, seconds)
            raise RateLimited(
                f"{limit} {policy} were made in the last minute, as many as may be",
                seconds,
                headers,
            )
        share.left -= 1
        headers = _headers(policy, limit, limit - share.lease.taken + share.left, seconds)
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    def _share(self, whose: str) -> _Share:
        share = self._shares.get(whose) or _Share()
        self._shares.keep(whose, share)
        return share


def _headers(policy: str, limit: int, left: int, seconds: int) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"{policy}";q={limit};w={WINDOW_SECONDS}',
        "RateLimit": f'"{policy}";r={max(0, left)};t={seconds}',
    }
