"""Read GPU time per tenant and day.

The script that ends an attempt adds its time, so a crash neither loses nor double-counts it.
"""

from datetime import UTC, date, datetime, timedelta

from core.store.client import open_redis
from core.store.constants import USAGE_LIFE
from core.store.keys import USAGE

_FIRST_DAY = date(1970, 1, 1)


class UsageStore:
    """Reads the usage that the scripts count. Calls raise redis-py's errors."""

    def __init__(self, url: str) -> None:
        """Connect on the first call."""
        self._redis = open_redis(url)

    def gpu_seconds(self, tenant: str, *, days: int = USAGE_LIFE.days) -> dict[date, float]:
        """Return how many seconds the tenant's jobs held a worker, by day.

        Lost and returned attempts are included.

        Args:
            tenant: the tenant's name.
            days: how many days to read, ending with today in UTC; Redis keeps `USAGE_LIFE`.

        Returns:
            Seconds by the day on which the attempts ended, oldest first; days without use are
            omitted.
        """
        today = datetime.now(UTC).date()
        asked = [today - timedelta(days=ago) for ago in reversed(range(days))]
        found = self._redis.mget([f"{USAGE}{tenant}:{(day - _FIRST_DAY).days}" for day in asked])
        return {day: int(spent) / 1000 for day, spent in zip(asked, found, strict=True) if spent}

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
