"""Give operators their operations on workers, the queue and jobs."""

from core.records.base import SCHEMA_VERSION
from core.records.offer import Engine
from core.records.worker import WorkerRecord
from core.store import redis_keys
from core.store.client import ScriptedStore
from core.store.constants import HOLD_LIFE

JOBS_AT_ONCE = 100  # of one script; one that changed thousands would block Redis for seconds


class OperatorStore(ScriptedStore):
    """Workers and waiting jobs. Calls raise redis-py's errors."""

    def __init__(self, url: str) -> None:
        """Connect on the first call."""
        super().__init__(url, "operator")

    def workers(self) -> list[WorkerRecord]:
        """Return all live workers."""
        records = []
        for name in self._redis.zrange(redis_keys.WORKERS, 0, -1):
            fields = self._redis.hgetall(redis_keys.WORKER + name)
            if "state" not in fields:
                self._redis.zrem(redis_keys.WORKERS, name)
                continue
            reason = self._redis.hget(redis_keys.HOLD + name, "reason")
            records.append(WorkerRecord.parse(name, fields, reason))
        return records

    def drain(self, worker: str) -> None:
        """Let a worker end its job and take no other. One in quarantine stays there."""
        self._run("drain", worker, HOLD_LIFE)

    def resume(self, worker: str) -> bool:
        """Let a drained or quarantined worker take jobs again; return whether it was held."""
        return bool(self._redis.delete(redis_keys.HOLD + worker))

    def pause_queue(self) -> bool:
        """Stop all claims; return False if they were stopped already."""
        return bool(self._run("pause_queue"))

    def resume_queue(self) -> bool:
        """Let jobs be claimed again; return whether the queue was paused."""
        return bool(self._run("resume_queue"))

    def is_queue_paused(self) -> bool:
        """Return whether jobs are accepted but not claimed."""
        return bool(self._redis.exists(redis_keys.PAUSED))

    def count_waiting(self) -> int:
        """Return how many jobs wait, whether or not a worker can run them."""
        return sum(int(self._redis.zcard(lane)) for lane in redis_keys.READY_KEYS)

    def count_ready(
        self,
        max_canvas_pixels: int | None = None,
        schema: int = SCHEMA_VERSION,
        engine: Engine = Engine.TOONCRAFTER,
        model: str = "",
    ) -> int:
        """Return how many waiting jobs a worker of these abilities can run now, in all lanes.

        Jobs that wait because of their tenant's limit of running jobs do not count.
        """
        return int(self._run("count_ready", schema, max_canvas_pixels, engine.value, model))

    def purge(self) -> list[str]:
        """Cancel up to `JOBS_AT_ONCE` waiting jobs; return their ids, none once nothing waits."""
        ids: list[str] = self._run("purge", JOBS_AT_ONCE)
        return ids

    def count_jobs(self, tenant: str) -> int:
        """Return how many jobs a tenant has, whatever their status."""
        return int(self._redis.zcard(redis_keys.JOBS + tenant))

    def move_ended(self, tenant: str, new_tenant: str) -> int:
        """Give all ended jobs of a tenant to another; return how many there were.

        A job that waits or runs stays: its place in the queue is its tenant's.
        """
        moved = 0
        while some := int(self._run("move_ended", tenant, new_tenant, JOBS_AT_ONCE)):
            moved += some
        return moved
