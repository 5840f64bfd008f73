"""Workers with different models on one queue: each gets what is for it, and none keeps the others
waiting.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from core.records.ids import new_job_id
from core.records.job import Job, Timing
from core.records.offer import Engine, Offer
from core.records.request import Priority, Quality
from core.store import redis_keys
from core.store.broker import QUEUE, queues_of
from core.store.client import AsyncRedis
from core.store.deployment import DeploymentReader
from core.store.queue_metrics import QueueMetrics
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request
from testkit.servers import RedisServer
from testkit.store.steps import place
from testkit.store.tenant_jobs import TenantJobs

PREVIEW, TINY = Offer.of_setting("preview"), Offer.of_setting("tiny")
STYLE = Offer.of_setting("/models/studio: style 2")
ADAPTED = Offer.of_setting("tiny", [Path("/styles/ink.safetensors"), Path("/styles/soft v1.2")])


@pytest.fixture
def preview(redis_server: RedisServer) -> WorkerStore:
    return WorkerStore(redis_server.url, offer=PREVIEW)


@pytest.fixture
def tiny(redis_server: RedisServer) -> WorkerStore:
    return WorkerStore(redis_server.url, offer=TINY)


async def submit(
    store: TenantJobs, model: str | None, priority: Priority = Priority.INTERACTIVE
) -> Job:
    quality = Quality.PREVIEW if model == "preview" else Quality.FINAL
    request = generation_request(priority, model=model, quality=quality)
    made = await store.submit(
        new_job_id(), request, metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    assert made.view is not None
    return made.view.job


def claimed(store: WorkerStore, worker: str = "worker-1") -> str | None:
    held = store.claim(worker)
    return held.job.id if held else None


class TestClaim:
    async def test_each_worker_takes_what_is_for_its_model(
        self, async_store: TenantJobs, preview: WorkerStore, tiny: WorkerStore
    ) -> None:
        final, draft = await submit(async_store, "tiny"), await submit(async_store, "preview")
        assert claimed(preview) == draft.id
        assert claimed(preview) is None
        assert claimed(tiny) == final.id

    async def test_a_long_job_of_another_model_keeps_no_preview_waiting(
        self, async_store: TenantJobs, preview: WorkerStore, tiny: WorkerStore
    ) -> None:
        """Ten final jobs wait behind a running one; the preview that comes last starts at once."""
        finals = [await submit(async_store, "tiny") for _ in range(10)]
        assert claimed(tiny) == finals[0].id
        last = await submit(async_store, "preview")
        assert claimed(preview) == last.id

    async def test_a_job_for_no_certain_model_goes_to_any_toon_crafter(
        self, async_store: TenantJobs, preview: WorkerStore, tiny: WorkerStore
    ) -> None:
        """As those of a version that knew one engine only."""
        old = await submit(async_store, None)
        assert claimed(preview) is None
        assert claimed(tiny) == old.id

    async def test_any_file_name_may_name_a_model(
        self, async_store: TenantJobs, redis_server: RedisServer, tiny: WorkerStore
    ) -> None:
        """Colons and digits of the name are not mistaken for the parts of a demand."""
        job = await submit(async_store, STYLE.name)
        assert claimed(tiny) is None
        assert claimed(WorkerStore(redis_server.url, offer=STYLE)) == job.id

    async def test_turns_go_by_priority_and_tenant_within_a_model(
        self, async_store: TenantJobs, preview: WorkerStore
    ) -> None:
        batch = await submit(async_store, "preview", Priority.BATCH)
        flood = [await submit(async_store, "preview") for _ in range(3)]
        other = await submit(async_store.of_tenant("other"), "preview")
        order = [claimed(preview) for _ in range(5)]
        assert order[:2] == [flood[0].id, other.id]
        assert order[-1] == batch.id

    async def test_a_job_that_an_older_process_ended_is_passed_over(
        self, async_store: TenantJobs, redis_server: RedisServer, preview: WorkerStore
    ) -> None:
        """It removes the job from the sets that it knows, among which is none for a model."""
        gone, next_one = await submit(async_store, "preview"), await submit(async_store, "preview")
        redis_server.client.hset(redis_keys.JOB + gone.id, "status", "canceled")
        assert claimed(preview) is None
        assert claimed(preview) == next_one.id


class TestMessages:
    async def test_each_model_gets_its_own(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        preview: WorkerStore,
        tiny: WorkerStore,
    ) -> None:
        """A message for the one would be lost on the other's worker until the next sweep."""
        preview.report("preview-1", state="idle")
        tiny.report("gpu-1", state="idle")
        for _ in range(3):
            await submit(async_store, "tiny")
        assert upkeep.count_missing_messages(QUEUE) == {"preview": 0, "tiny": 1}
        await submit(async_store, "preview")
        assert upkeep.count_missing_messages(QUEUE) == {"preview": 1, "tiny": 1}

    async def test_one_on_its_way_to_a_model_counts_for_that_model(
        self,
        async_store: TenantJobs,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
        preview: WorkerStore,
        tiny: WorkerStore,
    ) -> None:
        preview.report("preview-1", state="idle")
        tiny.report("gpu-1", state="idle")
        await submit(async_store, "tiny")
        await submit(async_store, "preview")
        redis_server.client.lpush(f"{redis_keys.PREFIX}{QUEUE}.tiny", "message")
        assert upkeep.count_missing_messages(QUEUE) == {"preview": 1, "tiny": 0}

    def test_only_toon_crafter_reads_what_an_older_dispatcher_sends(self) -> None:
        assert queues_of(TINY) == ["celery.tiny", "celery"]
        assert queues_of(PREVIEW) == ["celery.preview"]


class TestExpectation:
    async def test_positions_count_jobs_for_the_same_model(self, async_store: TenantJobs) -> None:
        finals = [await submit(async_store, "tiny") for _ in range(3)]
        other = await submit(async_store.of_tenant("other"), "preview")
        mine = await submit(async_store, "preview")
        assert [await place(async_store, job) for job in finals] == [0, 1, 2]
        assert await place(async_store.of_tenant("other"), other) == 1
        assert await place(async_store, mine) == 1  # behind the other tenant's, as far as known

    async def test_waiting_is_expected_of_the_models_own_workers(
        self,
        async_store: TenantJobs,
        async_redis: AsyncRedis,
        preview: WorkerStore,
        tiny: WorkerStore,
    ) -> None:
        """Finals wait for a minute of work; a preview starts at once."""
        tiny.report_load("gpu-1", MODEL, 1.0)
        preview.report("preview-1", state="idle")
        await submit(async_store, "tiny")
        held = tiny.claim("gpu-1")
        assert held is not None
        tiny.report("gpu-1", state="busy")
        tiny.succeed(held, [], Timing(run_seconds=60.0), MODEL.model_copy(update={"name": "tiny"}))
        for _ in range(2):
            await submit(async_store, "tiny")
        assert tiny.claim("gpu-1")
        reader = DeploymentReader(async_redis)
        finals = await reader.look(model="tiny")
        assert finals.expected_wait(Priority.INTERACTIVE) == pytest.approx(120.0)
        previews = await reader.look(model="preview")
        assert previews.expected_wait(Priority.INTERACTIVE) == 0.0
        assert previews.runs == []

    async def test_operators_scale_by_the_jobs_that_need_an_engine(
        self, async_store: TenantJobs, redis_server: RedisServer, preview: WorkerStore
    ) -> None:
        """Waiting and running ones; previews need no GPU."""
        registry = CollectorRegistry()
        registry.register(QueueMetrics(redis_server.url, max_queued=100))
        for model in ("preview", "preview", "tiny", None):
            await submit(async_store, model)
        assert claimed(preview)
        counted = {
            engine: registry.get_sample_value("tooncrafter_queue_engine_jobs", {"engine": engine})
            for engine in Engine
        }
        assert counted == {"tooncrafter": 2, "preview": 2}


class TestOffers:
    async def test_a_model_is_known_for_a_day_after_its_last_worker(
        self,
        async_redis: AsyncRedis,
        redis_server: RedisServer,
        upkeep: DispatcherStore,
        preview: WorkerStore,
        tiny: WorkerStore,
    ) -> None:
        """Jobs for it wait while its workers are restarted or scaled to none."""
        reader = DeploymentReader(async_redis)
        assert await reader.offers() == []
        preview.report("preview-1", state="loading")
        tiny.report("gpu-1", state="idle")
        an_hour = 3_600_000
        redis_server.client.zincrby(redis_keys.OFFERED, -an_hour, "tiny")
        assert await reader.offers() == [(TINY, False), (PREVIEW, True)]
        redis_server.client.zincrby(redis_keys.OFFERED, -24 * an_hour, "tiny")
        assert await reader.offers() == [(PREVIEW, True)]
        upkeep.forget_models()
        assert set(redis_server.client.hgetall(redis_keys.OFFERS)) == {"preview"}

    async def test_operators_see_what_each_worker_can_start(
        self, async_store: TenantJobs, redis_server: RedisServer, preview: WorkerStore
    ) -> None:
        await submit(async_store, "preview")
        await submit(async_store, "tiny")
        preview.report("preview-1", state="idle")
        operator = OperatorStore(redis_server.url)
        (worker,) = operator.workers()
        assert (worker.engine, worker.offer.name) == (Engine.PREVIEW, "preview")
        assert operator.count_ready(engine=worker.engine, model=worker.offer.name) == 1
        operator.close()


class TestAdapters:
    """A worker with adapters takes jobs for its model and for each of them."""

    async def test_it_takes_what_is_for_an_adapter(
        self, async_store: TenantJobs, redis_server: RedisServer, tiny: WorkerStore
    ) -> None:
        """A worker of the bare model leaves those jobs; names that only begin alike are others."""
        ink, soft = await submit(async_store, "ink"), await submit(async_store, "soft v1.2")
        plain, other = await submit(async_store, "tiny"), await submit(async_store, "soft")
        assert claimed(tiny) == plain.id
        assert claimed(tiny) is None
        adapted = WorkerStore(redis_server.url, offer=ADAPTED)
        assert {claimed(adapted), claimed(adapted)} == {ink.id, soft.id}
        assert claimed(adapted) is None
        assert claimed(WorkerStore(redis_server.url, offer=Offer.of_setting("soft"))) == other.id
        adapted.close()

    async def test_a_slot_of_it_is_found_for_an_adapter(
        self, async_store: TenantJobs, redis_server: RedisServer, upkeep: DispatcherStore
    ) -> None:
        """The message goes to the queue that this worker reads."""
        adapted = WorkerStore(redis_server.url, offer=ADAPTED)
        adapted.report("gpu-1", state="idle")
        await submit(async_store, "ink")
        (model,) = [name for name, count in upkeep.count_missing_messages(QUEUE).items() if count]
        assert f"{QUEUE}.{model}" == queues_of(ADAPTED)[0]
        adapted.close()

    async def test_each_is_offered_as_a_model(
        self, async_redis: AsyncRedis, redis_server: RedisServer, tiny: WorkerStore
    ) -> None:
        """Beside a worker of the bare model, which is the same model."""
        adapted = WorkerStore(redis_server.url, offer=ADAPTED)
        tiny.report("gpu-1", state="idle")
        adapted.report("gpu-2", state="idle")
        offers = await DeploymentReader(async_redis).offers()
        assert sorted(offer.name for offer, _ in offers) == ["ink", "soft v1.2", "tiny"]
        assert all(is_live and not offer.adapters for offer, is_live in offers)
        adapted.close()
