"""Count GPU time per tenant and day.

The script that ends an attempt also counts its time, so no crash loses or doubles any.
"""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta

from core.store.client import open_redis
from core.store.constants import USAGE_LIFE
from core.store.redis_keys import USAGE

_FIRST_DAY = date(1970, 1, 1)


def gpu_seconds(redis_url: str, tenant: str, *, days: int = USAGE_LIFE.days) -> dict[date, float]:
    """Return the seconds for which a tenant's jobs held a worker, by day.

    Attempts that were lost or given back count as well. Raises redis-py's errors.

    Args:
        redis_url: address of Redis.
        tenant: whose.
        days: how many, the last of them today in UTC; after `USAGE_LIFE` a day is forgotten.

    Returns:
        Seconds by the day on which the attempts ended, the oldest first, without empty days.
    """
    today = datetime.now(UTC).date()
    asked = [today - timedelta(days=ago) for ago in reversed(range(days))]
    with closing(open_redis(redis_url)) as redis:
        found = redis.mget([f"{USAGE}{tenant}:{(day - _FIRST_DAY).days}" for day in asked])
    return {day: int(spent) / 1000 for day, spent in zip(asked, found, strict=True) if spent}
