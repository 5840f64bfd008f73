"""What a gateway tells of the deployment: plans, models, the queue. The records are what real
workers write.
"""

from datetime import timedelta

import pytest
from httpx import AsyncClient

from api.schemas.deployment import WorkersView
from core.records.ids import new_job_id
from core.records.job import Progress, Stage, Timing
from core.records.request import Priority
from core.records.worker import WorkerState
from core.settings import Settings
from core.store.roles.gateway import AsyncJobStore
from core.store.roles.worker import JobStore
from testkit.api.calls import URL, body, files, problems
from testkit.api.gateway import gateway
from testkit.jobs import MODEL, generation_request, png
from testkit.servers import RedisServer

ESTIMATE, MODELS, QUEUE = f"{URL}/estimate", "/v1/models", "/v1/queue"
LARGE_CARD = MODEL.model_copy(update={"device": "NVIDIA H200"})


async def submit(store: AsyncJobStore, **fields: object) -> None:
    await store.submit(
        new_job_id(),
        generation_request(**fields),
        metadata={},
        ttl=timedelta(hours=1),
        request_id="shot-12a",
    )


async def run_one(
    store: JobStore, gateway: AsyncJobStore, timing: Timing, **fields: object
) -> None:
    """A job from submission to its result, as a worker reports it."""
    await submit(gateway, **fields)
    claim = store.claim("gpu-1:7")
    assert claim
    store.succeed(claim, [], timing, MODEL)


class TestEstimate:
    async def test_plan_of_a_request(self, client: AsyncClient) -> None:
        """What it would make: the canvas, the result's size, and how often the model is asked."""
        plan = (await client.post(ESTIMATE, files=files(png(1920, 1080), png(640, 360)))).json()
        assert plan["object"] == "estimate"
        assert (plan["segments"], plan["model_passes"], plan["frames"]) == (1, 100, 16)
        assert plan["canvas"] == {"width": 512, "height": 320}
        assert plan["output"] == {"width": 512, "height": 288}

    async def test_guidance_is_what_doubles_the_work(self, client: AsyncClient) -> None:
        """Without it each step asks the model once."""
        plan = (await client.post(ESTIMATE, json=body(steps=20, guidance_scale=1))).json()
        assert plan["model_passes"] == 20

    async def test_seconds_come_from_this_deployment_s_own_runs(
        self, client: AsyncClient, store: JobStore, async_store: AsyncJobStore
    ) -> None:
        """Scaled to steps and canvas, of the model that the live worker holds; a free worker lets
        nobody wait.
        """
        store.report_load("gpu-1:7", MODEL, 2.5)
        timing = Timing(run_seconds=12.0, denoise_seconds=8.0, decode_seconds=2.0)
        for _ in range(3):
            await run_one(store, async_store, timing, steps=4, width=256, height=320)
        plan = (await client.post(ESTIMATE, json=body(steps=20, width=512, height=320))).json()
        # 1 s for each of 8 passes over half the pixels, 2 s to decode them, 2 s for the rest
        assert plan["seconds"] == {"run": 86.0, "queue_wait": 0.0, "total": 86.0, "unknown": None}
        assert plan["based_on"] == {"runs": 3, "model": "stand-in", "device": "cpu"}

    async def test_job_that_waits_is_told_how_long(
        self, client: AsyncClient, store: JobStore, async_store: AsyncJobStore
    ) -> None:
        """One runs and says what is left, one waits before it, one batch job does not."""
        await run_one(store, async_store, Timing(run_seconds=10.0, denoise_seconds=10.0))
        await submit(async_store)
        running = store.claim("gpu-1:7")
        assert running
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report("gpu-1:7", state=WorkerState.BUSY)
        store.renew(
            running, Progress(stage=Stage.DENOISING, step=1, steps=4, percent=60, eta_seconds=4.0)
        )
        await submit(async_store)
        await submit(async_store, priority=Priority.BATCH)
        plan = (await client.post(ESTIMATE, json=body(steps=4, width=128, height=128))).json()
        assert plan["seconds"] == {"run": 10.0, "queue_wait": 14.0, "total": 24.0, "unknown": None}

    async def test_no_number_is_made_up(
        self, client: AsyncClient, store: JobStore, async_store: AsyncJobStore
    ) -> None:
        """Without a worker there is no wait to tell, before the first run no time at all."""
        unknown = {"run": None, "queue_wait": None, "total": None, "unknown": "no_worker"}
        nobody = (await client.post(ESTIMATE, json=body())).json()
        assert nobody["seconds"] == unknown
        assert nobody["based_on"] == {"runs": 0, "model": None, "device": None}
        store.report_load("gpu-1:7", MODEL, 2.5)
        idle = (await client.post(ESTIMATE, json=body())).json()
        assert idle["seconds"] == {
            "run": None,
            "queue_wait": 0.0,
            "total": None,
            "unknown": "no_recent_run",
        }
        await submit(async_store)
        behind = (await client.post(ESTIMATE, json=body())).json()
        assert behind["seconds"] == unknown | {"unknown": "no_recent_run"}

    async def test_it_refuses_what_a_submission_refuses(self, client: AsyncClient) -> None:
        """The same problems at the same pointers, images judged too."""
        for request in (
            {"json": body(steps=200, speed=3)},
            {"files": files(png(), b"no image")},
            {"json": []},
        ):
            planned, submitted = [await client.post(url, **request) for url in (ESTIMATE, URL)]
            assert planned.status_code == submitted.status_code == 422
            assert (
                problems(planned, 422, "invalid_request")
                == problems(submitted, 422, "invalid_request")
                != {}
            )
        problems(
            await client.post(ESTIMATE, content=b"{", headers={"content-type": "application/json"}),
            400,
            "malformed_body",
        )
        problems(await client.post(ESTIMATE, content=b"GIF"), 415, "unsupported_media_type")

    async def test_it_leaves_no_trace(self, client: AsyncClient, nothing_left) -> None:
        """Neither in Redis nor in the storage; and no job can have its name."""
        assert (await client.post(ESTIMATE, files=files())).status_code == 200
        nothing_left()
        assert (await client.get(ESTIMATE)).status_code == 405


class TestModels:
    async def test_no_worker_no_model(self, client: AsyncClient) -> None:
        """A gateway holds none itself."""
        assert (await client.get(MODELS)).json() == {"data": []}

    async def test_workers_of_the_same_weights_are_one_model(
        self, client: AsyncClient, store: JobStore
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
        assert {"width": 512, "height": 320} in model["sizes"]

    async def test_worker_without_a_limit_takes_everything(
        self, client: AsyncClient, store: JobStore
    ) -> None:
        """Then there is none for the model either."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report_load("gpu-2:8", MODEL, 2.5)
        store.report("gpu-2:8", state=WorkerState.IDLE, max_canvas_pixels=163_840)
        (model,) = (await client.get(MODELS)).json()["data"]
        assert model["limits"]["max_canvas_pixels"] is None

    async def test_other_weights_are_another_model(
        self, client: AsyncClient, store: JobStore
    ) -> None:
        """During an update both are there."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report_load("gpu-2:8", MODEL.model_copy(update={"weights": "sha256:1"}), 2.5)
        assert [model["weights"] for model in (await client.get(MODELS)).json()["data"]] == [
            "sha256:0",
            "sha256:1",
        ]

    async def test_every_listed_limit_is_the_one_that_refuses(
        self, client: AsyncClient, store: JobStore
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
        """Nothing waits, and nobody is there who would take a job."""
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
        self, client: AsyncClient, store: JobStore, async_store: AsyncJobStore
    ) -> None:
        """A batch job waits behind both lanes."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        await run_one(store, async_store, Timing(run_seconds=10.0))
        await submit(async_store)
        running = store.claim("gpu-1:7")
        assert running
        store.report("gpu-1:7", state=WorkerState.BUSY)
        store.renew(
            running, Progress(stage=Stage.DENOISING, step=1, steps=4, percent=60, eta_seconds=4.0)
        )
        for priority in (Priority.INTERACTIVE, Priority.BATCH, Priority.BATCH):
            await submit(async_store, priority=priority)
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
        self, client: AsyncClient, store: JobStore
    ) -> None:
        """A free worker does not mean that a job would start."""
        store.pause_queue()
        store.report_load("gpu-1:7", MODEL, 2.5)
        answer = (await client.get(QUEUE)).json()
        assert answer["paused"] is True
        assert {lane["unknown"] for lane in answer["lanes"]} == {"queue_paused"}
        plan = (await client.post(ESTIMATE, json=body())).json()
        assert (plan["seconds"]["queue_wait"], plan["seconds"]["unknown"]) == (None, "queue_paused")
        store.resume_queue()
        assert (await client.get(QUEUE)).json()["paused"] is False

    async def test_workers_by_what_they_do(self, client: AsyncClient, store: JobStore) -> None:
        """Every state that a worker can report has its count."""
        assert set(WorkersView.model_fields) == {state.value for state in WorkerState}
        for number, state in enumerate([*WorkerState, WorkerState.IDLE]):
            store.report(f"gpu-{number}:7", state=state)
        counts = (await client.get(QUEUE)).json()["workers"]
        assert counts == dict.fromkeys(WorkerState, 1) | {"idle": 2}

    @pytest.mark.parametrize("jobs", [1, 300])
    async def test_cost_does_not_grow_with_the_jobs(
        self, redis_server: RedisServer, client: AsyncClient, async_store: AsyncJobStore, jobs: int
    ) -> None:
        """Redis does the same work however many wait."""
        for _ in range(jobs):
            await submit(async_store)
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
