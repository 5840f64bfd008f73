"""What a gateway tells of the deployment: plans, models, the queue. The records are what real
workers write.
"""

import pytest
from httpx import AsyncClient

from api.schemas.deployment import MOST_SHOWN, WorkersView
from core.records.job import Progress, Stage, Timing
from core.records.offer import Offer, StageMemory
from core.records.request import Priority
from core.records.worker import MemoryKind, MemoryUse, WorkerState
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, body, problems
from testkit.api.gateway import gateway
from testkit.api.jobs import run_one, submit_to
from testkit.jobs import MODEL
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

ESTIMATE = f"{URL}/estimate"
MODELS = "/v1/models"
QUEUE = "/v1/queue"
LARGE_CARD = MODEL.model_copy(update={"device": "NVIDIA H200"})


class TestModels:
    async def test_no_worker_no_model(self, client: AsyncClient) -> None:
        """A gateway holds none itself."""
        assert (await client.get(MODELS)).json() == {"data": []}

    async def test_workers_of_the_same_weights_are_one_model(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """On whatever card; the largest limit counts, since a job goes to a worker that takes
        it.
        """
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report("gpu-1:7", state=WorkerState.BUSY, max_canvas_pixels=163_840)
        store.report_load("gpu-2:8", LARGE_CARD, 2.5)
        store.report("gpu-2:8", state=WorkerState.IDLE, max_canvas_pixels=524_288)
        store.report("gpu-3:9", state=WorkerState.LOADING)
        (model,) = (await client.get(MODELS)).json()["data"]
        assert (model["name"], model["weights"], model["trained"], model["dtype"]) == (
            "stand-in",
            "sha256:0",
            False,
            "float32",
        )
        assert (model["devices"], model["workers"]) == (["NVIDIA H200", "cpu"], 2)
        assert model["limits"] == {
            "min_side": 128,
            "max_side": 1024,
            "side_multiple": 64,
            "max_canvas_pixels": 524_288,
            "max_steps": 60,
            "frames": 16,
        }
        assert {"width": 512, "height": 320, "memory_bytes": None} in model["sizes"]

    async def test_memory_of_each_canvas_is_that_of_the_worker(
        self, client: AsyncClient, redis_server: RedisServer
    ) -> None:
        """The stage that needs most counts."""
        stages = [
            StageMemory(fixed_bytes=5_000_000_000, bytes_per_pixel=10_000),
            StageMemory(fixed_bytes=1_000_000_000, bytes_per_pixel=40_000),
        ]
        offer = Offer.of_setting("large").model_copy(update={"memory": stages})
        worker = WorkerStore(redis_server.url, offer=offer)
        worker.report_load("gpu-1:7", MODEL, 2.5)
        worker.report("gpu-1:7", state=WorkerState.IDLE)
        (model,) = (await client.get(MODELS)).json()["data"]
        needed = {(one["width"], one["height"]): one["memory_bytes"] for one in model["sizes"]}
        assert needed[512, 320] == 1_000_000_000 + 40_000 * 512 * 320

    async def test_worker_without_a_limit_takes_everything(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Then there is none for the model either."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report_load("gpu-2:8", MODEL, 2.5)
        store.report("gpu-2:8", state=WorkerState.IDLE, max_canvas_pixels=163_840)
        (model,) = (await client.get(MODELS)).json()["data"]
        assert model["limits"]["max_canvas_pixels"] is None

    async def test_other_weights_are_another_model(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """During an update both are there."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report_load("gpu-2:8", MODEL.model_copy(update={"weights": "sha256:1"}), 2.5)
        assert [model["weights"] for model in (await client.get(MODELS)).json()["data"]] == [
            "sha256:0",
            "sha256:1",
        ]

    async def test_every_listed_limit_is_the_one_that_refuses(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """A client that keeps to them is accepted, and one step beyond is refused."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        limits = (await client.get(MODELS)).json()["data"][0]["limits"]
        least, most, step = limits["min_side"], limits["max_side"], limits["side_multiple"]
        for width, height in ((least, most), (most, least), (least + step, least)):
            kept = body(width=width, height=height, steps=limits["max_steps"])
            assert (await client.post(ESTIMATE, json=kept)).status_code == 200
        for field in (
            {"width": least - step},
            {"height": most + step},
            {"width": least + 1},
            {"steps": 61},
        ):
            beyond = body(**({"width": least, "height": least} | field))
            assert list(
                problems(await client.post(ESTIMATE, json=beyond), 422, "invalid_request")
            ) == [f"/{next(iter(field))}"]


class TestQueue:
    async def test_empty_queue(self, client: AsyncClient) -> None:
        """Nothing waits, and no worker is there to take a job."""
        answer = (await client.get(QUEUE)).json()
        assert (answer["object"], answer["running"]) == ("queue", 0)
        assert answer["lanes"] == [
            {
                "priority": priority,
                "depth": 0,
                "oldest_seconds": None,
                "expected_wait_seconds": None,
                "unknown": "no_worker",
            }
            for priority in ("interactive", "batch")
        ]

    async def test_depth_age_and_wait_of_each_lane(
        self, client: AsyncClient, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """A batch job waits behind both lanes."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        await run_one(store, async_store, Timing(run_seconds=10.0))
        await submit_to(async_store)
        running = store.claim("gpu-1:7")
        assert running
        store.report("gpu-1:7", state=WorkerState.BUSY)
        store.renew(
            running, Progress(stage=Stage.DENOISING, step=1, steps=4, percent=60, eta_seconds=4.0)
        )
        for priority in (Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH):
            await submit_to(async_store, priority=priority)
        answer = (await client.get(QUEUE)).json()
        lanes = {lane.pop("priority"): lane for lane in answer["lanes"]}
        ages = [lane.pop("oldest_seconds") for lane in lanes.values()]
        assert all(0 <= age < 60 for age in ages)
        assert lanes == {
            "interactive": {"depth": 1, "expected_wait_seconds": 14.0, "unknown": None},
            "batch": {"depth": 2, "expected_wait_seconds": 34.0, "unknown": None},
        }
        assert (answer["running"], answer["workers"]["busy"]) == (1, 1)

    async def test_paused_queue_is_said_to_be_paused(
        self, client: AsyncClient, store: WorkerStore, operator: OperatorStore
    ) -> None:
        """A free worker does not mean that a job would start."""
        operator.pause_queue()
        store.report_load("gpu-1:7", MODEL, 2.5)
        answer = (await client.get(QUEUE)).json()
        assert answer["paused"] is True
        assert {lane["unknown"] for lane in answer["lanes"]} == {"queue_paused"}
        plan = (await client.post(ESTIMATE, json=body())).json()
        assert (plan["seconds"]["queue_wait"], plan["seconds"]["unknown"]) == (None, "queue_paused")
        operator.resume_queue()
        assert (await client.get(QUEUE)).json()["paused"] is False

    async def test_workers_by_what_they_do(self, client: AsyncClient, store: WorkerStore) -> None:
        """Every state that a worker can report has its count."""
        assert set(WorkersView.model_fields) == {state.value for state in WorkerState}
        for number, state in enumerate([*WorkerState, WorkerState.IDLE]):
            store.report(f"gpu-{number}:7", state=state)
        counts = (await client.get(QUEUE)).json()["workers"]
        assert counts == dict.fromkeys(WorkerState, 1) | {"idle": 2}

    async def test_fleet_lists_models_and_memory(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """One with a card, one without, and one that still loads, in the order of their names."""
        card = MemoryUse(kind=MemoryKind.GPU, used_bytes=11 * 2**30, total_bytes=24 * 2**30)
        own = MemoryUse(kind=MemoryKind.PROCESS, used_bytes=2**30)
        store.report_load("b:7", LARGE_CARD, 2.5)
        store.report("b:7", state=WorkerState.BUSY, memory=card.model_dump_json())
        store.report_load("a:8", MODEL, 2.5)
        store.report("a:8", state=WorkerState.IDLE, memory=own.model_dump_json())
        store.report("c:9", state=WorkerState.LOADING, memory="")
        assert (await client.get(QUEUE)).json()["fleet"] == [
            {
                "state": "idle",
                "model": "stand-in",
                "device": "cpu",
                "memory": {"kind": "process", "used_bytes": 2**30, "total_bytes": None},
            },
            {
                "state": "busy",
                "model": "stand-in",
                "device": "NVIDIA H200",
                "memory": {"kind": "gpu", "used_bytes": 11 * 2**30, "total_bytes": 24 * 2**30},
            },
            {"state": "loading", "model": None, "device": None, "memory": None},
        ]

    async def test_large_fleet_is_listed_in_part(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """The counts are of all workers."""
        for number in range(MOST_SHOWN + 1):
            store.report(f"gpu-{number}:7", state=WorkerState.IDLE)
        answer = (await client.get(QUEUE)).json()
        assert (len(answer["fleet"]), answer["workers"]["idle"]) == (MOST_SHOWN, MOST_SHOWN + 1)

    @pytest.mark.parametrize("jobs", [1, 300])
    async def test_cost_does_not_grow_with_the_jobs(
        self, redis_server: RedisServer, client: AsyncClient, async_store: TenantJobs, jobs: int
    ) -> None:
        """Redis does the same work however many wait."""
        for _ in range(jobs):
            await submit_to(async_store)
        await client.get(QUEUE)  # the script is loaded
        redis_server.client.config_resetstat()
        assert (await client.get(QUEUE)).json()["lanes"][0]["depth"] == jobs
        calls = redis_server.client.info("commandstats")
        assert (
            sum(
                entry["calls"]
                for name, entry in calls.items()
                if name != "cmdstat_config|resetstat"
            )
            <= 20
        )


@pytest.mark.parametrize("path", [MODELS, QUEUE])
async def test_without_redis_it_is_said_so(settings: Settings, path: str) -> None:
    """No empty list, which would look like a deployment without workers."""
    async with gateway(
        settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    ) as client:
        problems(await client.get(path), 503, "unavailable")
