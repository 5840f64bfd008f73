"""Give the jobs of one tenant to another, such as those made before the first key."""

from typing import Any

import redis
from redis.exceptions import WatchError

from core.records.job import JobState
from core.store.keys import JOB, JOBS

ENDED = [state for state in JobState if state.is_final]


class JobTransfer:
    """Moves ended jobs between tenants. Calls raise redis-py's errors."""

    def __init__(self, redis_url: str) -> None:
        """Connects with the first call."""
        client = redis.Redis.from_url(
            redis_url, decode_responses=True, socket_timeout=5, socket_connect_timeout=2
        )
        self._redis: Any = client  # redis-py types every answer as bytes or str or more

    def count(self, tenant: str) -> int:
        """Count the tenant's jobs, whatever their status."""
        return int(self._redis.zcard(JOBS + tenant))

    def move_ended(self, tenant: str, new_tenant: str) -> int:
        """Give all ended jobs of a tenant to another, and return how many there were.

        A job that waits or runs stays: its place in the queue is its tenant's.
        """
        moved = 0
        for status in ENDED:
            for job_id in self._redis.zrange(f"{JOBS}{tenant}:{status.value}", 0, -1):
                moved += self._move(job_id, status.value, tenant, new_tenant)
        return moved

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()

    def _move(self, job_id: str, status: str, tenant: str, new_tenant: str) -> bool:
        with self._redis.pipeline() as pipe:
            pipe.watch(JOB + job_id)
            if pipe.hget(JOB + job_id, "status") != status:
                return False  # it was deleted meanwhile
            pipe.multi()
            pipe.hset(JOB + job_id, "tenant", new_tenant)
            for index in ("", f":{status}"):
                pipe.zrem(f"{JOBS}{tenant}{index}", job_id)
                pipe.zadd(f"{JOBS}{new_tenant}{index}", {job_id: 0})
            try:
                pipe.execute()
            except WatchError:  # it expires or is being deleted
                return False
        return True
