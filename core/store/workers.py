"""Workers in Redis: what each reports of itself, and what an operator wants of them."""

from datetime import timedelta
from typing import Any

import redis

from core.records.base import SCHEMA_VERSION
from core.records.worker import ModelInfo, WorkerRecord, WorkerState
from core.store import keys
from core.store.encoding import milliseconds
from core.store.lua import workers as worker_scripts

WORKER_LIFE = timedelta(seconds=10)  # a worker that was silent for so long is not there
# after its worker's last sign of life; a restarted one has another name
HOLD_LIFE = timedelta(days=1)
PURGED_AT_ONCE = 100  # jobs; a script that ended thousands would let everybody wait


class WorkerRegistry:
    """The live workers. Calls raise redis-py's errors: the caller decides when to try again."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client  # redis-py types every answer as bytes or str or more
        self._report = client.register_script(worker_scripts.REPORT)
        self._ask_to_stop = client.register_script(worker_scripts.ASK_TO_STOP)
        self._dismiss = client.register_script(worker_scripts.DISMISS)
        self._quarantine = client.register_script(worker_scripts.QUARANTINE)
        self._drain = client.register_script(worker_scripts.DRAIN)
        self._pause_queue = client.register_script(worker_scripts.PAUSE_QUEUE)
        self._resume_queue = client.register_script(worker_scripts.RESUME_QUEUE)
        self._purge = client.register_script(worker_scripts.PURGE)

    def report(self, worker: str, state: str, **fields: str | int) -> timedelta | None:
        """A worker's sign of life. Answers the time it has left if it was asked to stop, else
        None.
        """
        flat = [part for pair in fields.items() for part in pair]
        left: Any = self._report(
            args=[worker, milliseconds(WORKER_LIFE), milliseconds(HOLD_LIFE), state, *flat]
        )
        return None if left < 0 else timedelta(milliseconds=left)

    def report_load(self, worker: str, model: ModelInfo, load_seconds: float) -> None:
        """A worker has loaded its pipeline and is ready; `model_loads` counts how often it did."""
        # in a container it may bear the name of one that was killed while it stopped
        self._redis.hdel(keys.WORKER + worker, "stop_at")
        self._redis.hincrby(keys.WORKER + worker, "model_loads", 1)
        loaded = {
            "schema": str(SCHEMA_VERSION),
            "model": model.model_dump_json(),
            "model_load_seconds": f"{load_seconds:.3f}",
        }
        self.report(worker, state=WorkerState.IDLE, **loaded)

    def ask_to_stop(self, worker: str, grace: timedelta) -> None:
        """Tell the process that computes for this worker to end within the grace or give its job
        back.
        """
        self._ask_to_stop(args=[worker, milliseconds(grace + WORKER_LIFE), milliseconds(grace)])

    def dismiss(self, worker: str) -> None:
        """The worker is gone in order."""
        self._dismiss(args=[worker])

    def workers(self) -> list[WorkerRecord]:
        """All live workers."""
        records = []
        for name in self._redis.zrange(keys.WORKERS, 0, -1):
            fields = self._redis.hgetall(keys.WORKER + name)
            if "state" not in fields:
                self._redis.zrem(keys.WORKERS, name)
                continue
            records.append(
                WorkerRecord.parse(name, fields, self._redis.hget(keys.HOLD + name, "reason"))
            )
        return records

    def drain(self, worker: str) -> None:
        """Let a worker end its job and take no other. One in quarantine stays there."""
        self._drain(args=[worker, milliseconds(HOLD_LIFE)])

    def quarantine(self, worker: str, reason: str) -> None:
        """Let a worker whose device broke down while it had no job take none until somebody resumes
        it.
        """
        self._quarantine(args=[worker, milliseconds(HOLD_LIFE), reason])

    def resume(self, worker: str) -> bool:
        """Let a drained or quarantined worker take jobs again. Answers whether it was held."""
        return bool(self._redis.delete(keys.HOLD + worker))

    def pause_queue(self) -> bool:
        """Let nobody claim a job. Answers whether anybody could before."""
        return bool(self._pause_queue())

    def resume_queue(self) -> bool:
        """Let jobs be claimed again. Answers whether the queue was paused."""
        return bool(self._resume_queue())

    def is_queue_paused(self) -> bool:
        """Whether jobs are accepted but not claimed."""
        return bool(self._redis.exists(keys.PAUSED))

    def count_waiting(self) -> int:
        """How many jobs wait, whoever can run them."""
        return sum(int(self._redis.zcard(lane)) for lane in keys.READY_KEYS)

    def purge(self) -> list[str]:
        """Cancel waiting jobs, `PURGED_AT_ONCE` of them. Answers their ids; none where nothing
        waits.
        """
        ids: list[str] = self._purge(args=[PURGED_AT_ONCE])
        return ids
