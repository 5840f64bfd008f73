"""Estimates: the plan of a job and its time, before anything is submitted."""

from httpx import AsyncClient

from core.records.job import Progress, Stage, Timing
from core.records.request import Priority
from core.records.worker import WorkerState
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, body, files, problems
from testkit.api.jobs import run_one, submit_to
from testkit.jobs import MODEL, png
from testkit.store.tenant_jobs import TenantJobs

ESTIMATE = f"{URL}/estimate"
MODELS = "/v1/models"
QUEUE = "/v1/queue"
LARGE_CARD = MODEL.model_copy(update={"device": "NVIDIA H200"})


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
        self, client: AsyncClient, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Scaled to steps and canvas, of the live worker's model; no wait if a worker is free."""
        store.report_load("gpu-1:7", MODEL, 2.5)
        timing = Timing(run_seconds=12.0, denoise_seconds=8.0, decode_seconds=2.0)
        for _ in range(3):
            await run_one(store, async_store, timing, steps=4, width=256, height=320)
        plan = (await client.post(ESTIMATE, json=body(steps=20, width=512, height=320))).json()
        # 1 s for each of 8 passes over half the pixels, 2 s to decode them, 2 s for the rest
        assert plan["seconds"] == {"run": 86.0, "queue_wait": 0.0, "total": 86.0, "unknown": None}
        assert plan["based_on"] == {"runs": 3, "model": "stand-in", "device": "cpu"}

    async def test_job_that_waits_is_told_how_long(
        self, client: AsyncClient, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """One runs and says what is left, one waits before it, one batch job does not."""
        await run_one(store, async_store, Timing(run_seconds=10.0, denoise_seconds=10.0))
        await submit_to(async_store)
        running = store.claim("gpu-1:7")
        assert running
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report("gpu-1:7", state=WorkerState.BUSY)
        store.renew(
            running, Progress(stage=Stage.DENOISING, step=1, steps=4, percent=60, eta_seconds=4.0)
        )
        await submit_to(async_store)
        await submit_to(async_store, priority=Priority.BATCH)
        plan = (await client.post(ESTIMATE, json=body(steps=4, width=128, height=128))).json()
        assert plan["seconds"] == {"run": 10.0, "queue_wait": 14.0, "total": 24.0, "unknown": None}

    async def test_no_number_is_made_up(
        self, client: AsyncClient, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Without a worker there is no wait to tell, before the first run no time at all."""
        unknown = {"run": None, "queue_wait": None, "total": None, "unknown": "no_worker"}
        estimate = (await client.post(ESTIMATE, json=body())).json()
        assert estimate["seconds"] == unknown
        assert estimate["based_on"] == {"runs": 0, "model": None, "device": None}
        store.report_load("gpu-1:7", MODEL, 2.5)
        idle = (await client.post(ESTIMATE, json=body())).json()
        assert idle["seconds"] == {
            "run": None,
            "queue_wait": 0.0,
            "total": None,
            "unknown": "no_recent_run",
        }
        await submit_to(async_store)
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
