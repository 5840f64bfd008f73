"""What tenants used: GPU time by day, counted in the step that ends an attempt, so no crash loses
or doubles any.
"""

from datetime import UTC, date, datetime, timedelta

from core.store.client import open_redis
from core.store.constants import USAGE_LIFE
from core.store.keys import USAGE

_FIRST_DAY = date(1970, 1, 1)


class UsageStore:
    """Reads what the scripts counted. Calls raise redis-py's errors."""

    def __init__(self, url: str) -> None:
        """Connects with the first call."""
        self._redis = open_redis(url)

    def gpu_seconds(self, tenant: str, *, days: int = USAGE_LIFE.days) -> dict[date, float]:
        """Seconds for which jobs of a tenant held a worker, attempts that were lost or given back
        included.

        Args:
            tenant: whose.
            days: so many, the last of them today, in UTC; older ones than `USAGE_LIFE` are
                forgotten.

        Returns:
            Seconds by the day on which the attempts ended, the oldest first; days without any are
            left out.
        """
        today = datetime.now(UTC).date()
        asked = [today - timedelta(days=ago) for ago in reversed(range(days))]
        found = self._redis.mget([f"{USAGE}{tenant}:{(day - _FIRST_DAY).days}" for day in asked])
        return {day: int(spent) / 1000 for day, spent in zip(asked, found, strict=True) if spent}

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
