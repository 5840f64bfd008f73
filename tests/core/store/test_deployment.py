"""What a job has to expect: from the workers, the lanes, the running jobs and the last runs, in a
real Redis.
"""

import asyncio
import heapq
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records.ids import new_job_id
from core.records.job import Progress, Stage, Timing
from core.records.request import Priority
from core.records.worker import ModelInfo, WorkerRecord, WorkerState
from core.store import redis_keys
from core.store.client import AsyncRedis
from core.store.deployment import (
    LARGE_FLEET,
    Deployment,
    DeploymentReader,
    Lane,
    Unknown,
    wait_behind,
)
from core.store.forecast import RecentRun, recent_run
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request
from testkit.servers import RedisServer
from testkit.store.steps import submit
from testkit.store.tenant_jobs import TenantJobs

OTHER_CARD = MODEL.model_copy(update={"device": "NVIDIA H200"})


def worker(
    state: WorkerState = WorkerState.IDLE,
    model: ModelInfo = MODEL,
    max_canvas_pixels: int | None = None,
) -> WorkerRecord:
    fields = {"state": state, "model": model.model_dump_json()}
    if max_canvas_pixels is not None:
        fields["max_canvas_pixels"] = str(max_canvas_pixels)
    return WorkerRecord.parse("gpu-1:7", fields)


def run(seconds: float = 10.0, model: ModelInfo = MODEL) -> RecentRun:
    timing = Timing(run_seconds=seconds, denoise_seconds=seconds)
    return recent_run(generation_request(), timing, model)


def deployment(
    *workers: WorkerRecord,
    interactive: int = 0,
    batch: int = 0,
    running: tuple[float | None, ...] = (),
    runs: tuple[RecentRun, ...] = (),
) -> Deployment:
    lanes = [
        Lane(Priority.INTERACTIVE, interactive, interactive, None),
        Lane(Priority.BATCH, batch, interactive + batch, None),
    ]
    return Deployment(list(workers), lanes, list(running), list(runs))


class TestWait:
    def test_free_worker_takes_a_job_at_once(self) -> None:
        """Known without any run."""
        assert deployment(worker()).expected_wait(Priority.INTERACTIVE) == 0.0

    def test_busy_worker_ends_its_job_first(self) -> None:
        """As soon as its own job says what is left, else as long as a typical one."""
        busy = worker(WorkerState.BUSY)
        assert (
            deployment(busy, running=(4.0,), runs=(run(),)).expected_wait(Priority.INTERACTIVE)
            == 4.0
        )
        assert (
            deployment(busy, running=(None,), runs=(run(),)).expected_wait(Priority.INTERACTIVE)
            == 10.0
        )

    def test_work_ahead_is_shared_by_the_workers(self) -> None:
        """Six jobs of 10 s before two workers."""
        busy = [worker(WorkerState.BUSY)] * 2
        seen = deployment(*busy, interactive=6, running=(5.0, 5.0), runs=(run(),))
        assert seen.expected_wait(Priority.INTERACTIVE) == 35.0

    def test_batch_waits_behind_both_lanes(self) -> None:
        """And delays no job of the other lane."""
        busy = worker(WorkerState.BUSY)
        seen = deployment(busy, interactive=1, batch=2, running=(0.0,), runs=(run(),))
        assert [seen.expected_wait(priority) for priority in Priority] == [10.0, 30.0]

    @pytest.mark.parametrize(
        "state", sorted(set(WorkerState) - {WorkerState.IDLE, WorkerState.BUSY})
    )
    def test_worker_that_takes_no_job_does_not_count(self, state: WorkerState) -> None:
        """It is alive, but when it takes jobs again is unknown."""
        assert deployment(worker(state)).expected_wait(Priority.INTERACTIVE) is Unknown.NO_WORKER

    def test_worker_that_cannot_take_the_canvas_does_not_count(self) -> None:
        """A small card beside a large one that is busy."""
        seen = deployment(
            worker(max_canvas_pixels=100_000),
            worker(WorkerState.BUSY),
            running=(),
            runs=(run(),),
            interactive=0,
        )
        assert seen.expected_wait(Priority.INTERACTIVE, pixels=50_000) == 0.0
        small = deployment(worker(max_canvas_pixels=100_000))
        assert small.expected_wait(Priority.INTERACTIVE, pixels=200_000) is Unknown.NO_WORKER

    def test_nothing_is_made_up_before_the_first_run(self) -> None:
        """Jobs wait, and how long one takes is not known."""
        seen = deployment(worker(WorkerState.BUSY), interactive=3, running=(None,))
        assert seen.expected_wait(Priority.INTERACTIVE) is Unknown.NO_RECENT_RUN

    @given(
        st.lists(st.floats(0, 100), min_size=1, max_size=8), st.integers(0, 50), st.floats(0.1, 60)
    )
    def test_it_is_what_a_queue_would_do_within_one_job(
        self, free_in: list[float], jobs: int, seconds: float
    ) -> None:
        """Played through job by job: each goes to the worker that is free first."""
        workers = sorted(free_in)
        heapq.heapify(workers)
        for _ in range(jobs):
            heapq.heapreplace(workers, workers[0] + seconds)
        assert wait_behind(sorted(free_in), jobs * seconds) == pytest.approx(
            workers[0], abs=seconds
        )


class TestRelevantRuns:
    def test_only_those_of_a_live_worker_count(self) -> None:
        """The card was exchanged: what the old one took tells nothing."""
        seen = deployment(
            worker(model=OTHER_CARD), runs=(run(60.0), run(8.0, OTHER_CARD), run(60.0))
        )
        assert [found.seconds for found in seen.runs] == [8.0]
        assert deployment(worker(model=OTHER_CARD), runs=(run(60.0),)).runs == []

    def test_two_kinds_of_cards_are_never_mixed(self) -> None:
        """The one that ran last decides."""
        both = worker(), worker(model=OTHER_CARD)
        seen = deployment(*both, runs=(run(8.0, OTHER_CARD), run(60.0), run(9.0, OTHER_CARD)))
        assert [found.seconds for found in seen.runs] == [8.0, 9.0]

    def test_without_a_worker_the_last_one_s_runs_remain(self) -> None:
        """How long a run will take is still known, though not when it begins."""
        seen = deployment(runs=(run(8.0),))
        assert seen.expected_run(passes=8, pixels=128 * 128) == pytest.approx(8.0)
        assert seen.expected_wait(Priority.INTERACTIVE) is Unknown.NO_WORKER


@pytest.fixture
def reader(async_redis: AsyncRedis) -> DeploymentReader:
    return DeploymentReader(async_redis)


class TestLook:
    async def test_empty_deployment(self, reader: DeploymentReader) -> None:
        """Nothing runs and nothing waits."""
        assert await reader.look() == deployment()

    async def test_everything_is_seen_at_once(
        self,
        reader: DeploymentReader,
        redis_server: RedisServer,
        store: WorkerStore,
        async_store: TenantJobs,
    ) -> None:
        """Workers with their limit, lanes with their age, what is left of running jobs, and the
        last run.
        """
        for priority in (
            Priority.INTERACTIVE,
            Priority.INTERACTIVE,
            Priority.BATCH,
            Priority.BATCH,
        ):
            request = generation_request(priority=priority)
            await async_store.submit(
                new_job_id(), request, metadata={}, ttl=timedelta(hours=1), request_id=""
            )
        store.report_load("gpu-1:7", MODEL, 2.5)
        store.report("gpu-1:7", state=WorkerState.BUSY, max_canvas_pixels=163_840)
        store.report("gpu-2:8", state=WorkerState.LOADING)
        redis_server.client.zadd(redis_keys.WORKERS, {"gpu-3:9": 0})  # died; its hash is gone
        claims = [store.claim("gpu-1:7"), store.claim("gpu-1:7"), store.claim("gpu-1:7")]
        assert claims[0]
        assert claims[1]
        store.succeed(claims[0], [], Timing(run_seconds=10.0, denoise_seconds=10.0), MODEL)
        store.renew(
            claims[1],
            Progress(stage=Stage.DENOISING, step=2, steps=4, percent=50.0, eta_seconds=7.5),
        )

        seen = await reader.look()
        assert {(w.name, w.state, w.max_canvas_pixels, w.model) for w in seen.workers} == {
            ("gpu-1:7", "busy", 163_840, MODEL),
            ("gpu-2:8", "loading", None, None),
        }
        assert [(lane.priority, lane.waiting) for lane in seen.lanes] == [
            ("interactive", 0),
            ("batch", 1),
        ]
        assert seen.lanes[0].oldest_seconds is None
        assert seen.lanes[1].oldest_seconds is not None
        assert sorted(seen.remaining_seconds, key=str) == [7.5, None]
        assert [found.seconds for found in seen.runs] == [10.0]

    async def test_hundreds_of_workers_are_looked_at_once_for_all_who_ask(
        self,
        reader: DeploymentReader,
        redis_server: RedisServer,
        store: WorkerStore,
        async_store: TenantJobs,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A look at each holds Redis up; what waits is told fresh nevertheless, and the workers
        again in a moment.
        """

        def looks() -> int:
            return int(
                redis_server.client.info("commandstats").get("cmdstat_lrange", {"calls": 0})[
                    "calls"
                ]
            )

        monkeypatch.setattr(
            "core.store.deployment.KEPT_SECONDS_FOR_EACH", 1.0
        )  # for longer than any stall of this test
        for number in range(LARGE_FLEET):
            store.report(f"gpu-{number}", state=WorkerState.IDLE)
        await reader.look()
        before = looks()
        await submit(async_store)
        seen = await asyncio.gather(*(reader.look() for _ in range(5)))
        assert [len(one.workers) for one in seen] == [LARGE_FLEET] * 5
        assert [one.lanes[0].waiting for one in seen] == [1] * 5
        assert looks() == before
        store.dismiss("gpu-0")
        reader._kept_until = 0.0
        assert len((await reader.look()).workers) == LARGE_FLEET - 1
