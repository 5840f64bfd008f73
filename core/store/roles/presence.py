"""Give a worker the operations on its own record: signs of life, its model, its end."""

from datetime import timedelta

from core.records.base import SCHEMA_VERSION
from core.records.offer import Engine, Offer
from core.records.worker import ModelInfo, WorkerState
from core.store import redis_keys
from core.store.client import ScriptedStore
from core.store.constants import HOLD_LIFE, WORKER_LIFE
from core.store.encoding import flat


class WorkerPresence(ScriptedStore):
    """The worker's own record. Calls raise redis-py's errors."""

    def __init__(self, url: str, offer: Offer | None = None) -> None:
        """Connect on the first call.

        Args:
            url: address of Redis.
            offer: the model that the worker announces; None for ToonCrafter jobs that are for no
                certain model.
        """
        super().__init__(url, "worker")
        self._engine = offer.engine if offer else Engine.TOONCRAFTER
        self._model = offer.serves if offer else ""
        self._about: dict[str, str] = {}
        if offer:
            self._about = {
                "serves": offer.serves,
                "engine": offer.engine.value,
                "offer": offer.model_dump_json(),
            }

    def report(self, worker: str, state: str, **fields: str | int) -> timedelta | None:
        """Send a sign of life.

        Returns:
            The time that is left to a worker that was asked to stop, else None.
        """
        fields = {**self._about, **fields}
        left: int = self._run("report", worker, WORKER_LIFE, HOLD_LIFE, state, *flat(fields))
        return None if left < 0 else timedelta(milliseconds=left)

    def report_load(self, worker: str, model: ModelInfo, load_seconds: float) -> None:
        """Report that the pipeline is loaded; `model_loads` counts how often it was."""
        # Containers reuse host name and pid; the previous worker of this name may have been killed
        # while it stopped.
        self._redis.hdel(redis_keys.WORKER + worker, "stop_at")
        self._redis.hincrby(redis_keys.WORKER + worker, "model_loads", 1)
        self.report(
            worker,
            WorkerState.IDLE,
            schema=SCHEMA_VERSION,
            model=model.model_dump_json(),
            model_load_seconds=f"{load_seconds:.3f}",
        )

    def ask_to_stop(self, worker: str, grace: timedelta) -> None:
        """Tell the worker's computing process to end within the grace or give its jobs back."""
        self._run("ask_to_stop", worker, grace + WORKER_LIFE, grace)

    def dismiss(self, worker: str) -> None:
        """Forget a worker that ended in order."""
        self._run("dismiss", worker)

    def quarantine(self, worker: str, reason: str) -> None:
        """Hold a worker whose device broke down without a job, until an operator resumes it."""
        self._run("quarantine", worker, HOLD_LIFE, reason)
