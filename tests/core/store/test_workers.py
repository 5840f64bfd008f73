"""The registry of live workers."""

import time
from datetime import timedelta

from core.store import redis_keys
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL
from testkit.servers import RedisServer


class TestWorkers:
    def test_live_worker_is_listed_with_its_model(
        self, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """What the dispatcher counts and what an operator wants to know."""
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        (worker,) = operator.workers()
        assert (worker.name, worker.state, worker.model, worker.model_loads) == (
            "gpu-1:7",
            "idle",
            MODEL,
            2,
        )

    def test_silent_worker_vanishes(
        self, store: WorkerStore, operator: OperatorStore, redis_server: RedisServer
    ) -> None:
        """Its record dies by itself; no dispatcher waits for it."""
        store.report("gpu-1:7", state="idle")
        redis_server.client.pexpire(redis_keys.WORKER + "gpu-1:7", 1)
        time.sleep(0.01)
        assert operator.workers() == []

    def test_dismissed_worker_vanishes_at_once(
        self, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """In order, so there is nothing to wait for."""
        store.report("gpu-1:7", state="idle")
        store.dismiss("gpu-1:7")
        assert operator.workers() == []

    def test_worker_asked_to_stop_hears_how_long_it_has(self, store: WorkerStore) -> None:
        """Its parent process tells Redis, its child hears it with the next beat."""
        assert store.report("gpu-1:7", state="busy") is None
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        left = store.report("gpu-1:7", state="busy")
        assert left is not None
        assert timedelta(seconds=20) < left <= timedelta(seconds=30)

    def test_stopping_worker_offers_no_slot(
        self, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """A message sent to it would lie about until another worker finds it."""
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        store.report("gpu-1:7", state="idle")
        assert [worker.state for worker in operator.workers()] == ["stopping"]

    def test_restarted_worker_forgets_that_it_was_asked_to_stop(self, store: WorkerStore) -> None:
        """In a container it has the same name again; else it would give back every job for ever."""
        store.ask_to_stop("gpu-1:7", timedelta(seconds=30))
        store.report_load("gpu-1:7", MODEL, load_seconds=2.0)
        assert store.report("gpu-1:7", state="idle") is None
