"""Two jobs in one worker: one is drawn while the one before is encoded, stored and committed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
import pytest

from core.records.job import JobState, Stage
from core.records.request import Priority
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.jobs import drawing
from testkit.servers import RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import StandInPipeline, Worker, cancel
from testkit.worker.slow_storage import STEPS, Scene, SlowStorage
from worker.gpu.faults import DeviceBroken
from worker.jobs import attempt

TEAL, RED = (0, 128, 128), (255, 0, 0)


@pytest.fixture
def scene(
    store: WorkerStore, async_store: TenantJobs, settings: Settings, pipeline: StandInPipeline
) -> Iterator[Scene]:
    storage = SlowStorage(settings)
    worker = Worker(store, storage, pipeline)
    yield Scene(worker, storage, async_store, settings.redis_url)
    worker.heartbeat.end()


@pytest.fixture
def hurried(
    store: WorkerStore, async_store: TenantJobs, settings: Settings, pipeline: StandInPipeline
) -> Iterator[Scene]:
    """Its attempts may take a second."""
    storage = SlowStorage(settings)
    worker = Worker(store, storage, pipeline, job_timeout=timedelta(seconds=1))
    yield Scene(worker, storage, async_store, settings.redis_url)
    worker.heartbeat.end()


class TestOverlap:
    async def test_next_job_is_drawn_while_the_one_before_is_stored(
        self, scene: Scene, operator: OperatorStore
    ) -> None:
        """Both hold leases, each shows its own stage, and the worker's record names both."""
        first, second = await scene.submit_held(2)
        seen = []

        def look(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 2 and index == 1:
                scene.wait_for(first, Stage.UPLOADING)
                seen.extend([scene.job(first), scene.job(second), *operator.workers()])

        scene.worker.pipeline.at_step = look
        scene.start()
        wait_until(lambda: seen, "the second is drawn")
        scene.end()
        assert [job.status for job in seen[:2]] == [JobState.RUNNING] * 2
        assert seen[1].progress.stage == Stage.DENOISING
        assert (seen[2].state, seen[2].job, seen[2].finishing) == ("busy", second, first)
        assert [scene.job(one).status for one in (first, second)] == [JobState.SUCCEEDED] * 2
        (record,) = operator.workers()
        assert (record.state, record.job, record.finishing) == ("idle", None, None)

    async def test_at_most_one_drawn_job_waits_for_its_turn(self, scene: Scene) -> None:
        """It keeps its lease and shows that it is exported; a third job is left to others."""
        first, second, third = await scene.submit_held(3)
        scene.start()
        scene.wait_for(second, Stage.EXPORTING)
        await asyncio.sleep(0.5)
        assert scene.job(first).status is JobState.RUNNING
        assert (scene.job(third).status, scene.job(third).attempts) == (JobState.QUEUED, 0)
        scene.end()
        assert scene.job(third).status is JobState.SUCCEEDED
        ended = [scene.job(one).finished_at for one in (first, second, third)]
        assert ended == sorted(ended)

    async def test_waiting_for_a_turn_takes_nothing_of_the_deadline(self, hurried: Scene) -> None:
        """A job is not to blame for the one before it."""
        first, second = await hurried.submit_held(2)
        hurried.start()
        hurried.wait_for(second, Stage.EXPORTING)
        await asyncio.sleep(1.5)
        hurried.end()
        assert hurried.job(first).error.code == "deadline_exceeded"
        assert hurried.job(second).status is JobState.SUCCEEDED

    async def test_job_in_the_middle_is_found_while_another_is_stored(self, scene: Scene) -> None:
        """A job that comes while the worker only stores another one need not wait for that."""
        (first,) = await scene.submit_held(1)
        scene.start()
        scene.wait_for(first, Stage.UPLOADING)
        second = await scene.submit(seed=9)
        scene.wait_for(second, Stage.EXPORTING)
        assert scene.job(first).status is JobState.RUNNING
        scene.end()


class TestCancel:
    async def test_job_that_is_stored_ends_at_once_beside_the_next(
        self, scene: Scene, redis_server: RedisServer, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Its upload is interrupted, and the other job goes on."""
        first, second = await scene.submit_held(2)
        seen = []

        def cancel_first(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 2 and index == 0:
                scene.wait_for(first, Stage.UPLOADING)
                cancel(redis_server, first)
                scene.wait_for(first, JobState.CANCELED)
                seen.append(scene.job(second).status)

        scene.worker.pipeline.at_step = cancel_first
        scene.start()
        wait_until(lambda: seen, "the first ends while the second is drawn")
        scene.end()
        assert seen == [JobState.RUNNING]
        assert scene.job(second).status is JobState.SUCCEEDED
        assert not [key for key in stored_keys() if f"{first}/outputs" in key]

    async def test_job_that_is_drawn_ends_alone(
        self, scene: Scene, redis_server: RedisServer
    ) -> None:
        first, second = await scene.submit_held(2)

        def cancel_second(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 2 and index == 0:
                cancel(redis_server, second)

        scene.worker.pipeline.at_step = cancel_second
        scene.start()
        scene.wait_for(second, JobState.CANCELED)
        assert scene.job(first).status is JobState.RUNNING
        scene.end()
        assert scene.job(first).status is JobState.SUCCEEDED
        assert scene.worker.pipeline.steps_done == STEPS + 1


class TestTrouble:
    async def test_stop_gives_both_back(self, scene: Scene, redis_server: RedisServer) -> None:
        """Neither fits the grace; nothing counts against them, and no lease is left."""
        first, second = await scene.submit_held(2)
        scene.storage.held.clear()
        scene.storage.refused.add(first)

        def stop(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 2 and index == 0:
                scene.wait_for(first, Stage.UPLOADING)
                scene.worker.store.ask_to_stop(scene.worker.name, timedelta(0))
                wait_until(
                    lambda: scene.worker.heartbeat.seconds_to_stop is not None, "it is heard"
                )

        scene.worker.pipeline.at_step = stop
        scene.start()
        scene.wait_for(second, JobState.QUEUED)
        scene.end()
        for job in (scene.job(first), scene.job(second)):
            assert (job.status, job.attempts, job.lost_leases) == (JobState.QUEUED, 0, 0)
        assert redis_server.client.zcard(redis_keys.LEASES) == 0

    async def test_broken_device_lets_the_drawn_job_end(
        self, scene: Scene, operator: OperatorStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the job on the device is given back."""
        first, second = await scene.submit_held(2)
        broken = threading.Event()

        def no_answer(device: str) -> None:
            raise RuntimeError(f"{device} does not answer")

        def break_down(_: int) -> None:
            if len(scene.worker.pipeline.seen) == 2:
                scene.wait_for(first, Stage.UPLOADING)
                monkeypatch.setattr(attempt, "require_working_device", no_answer)
                broken.set()
                raise RuntimeError("CUDA error")

        scene.worker.pipeline.at_step = break_down
        scene.start()
        wait_until(broken.is_set, "the device broke while the first was being stored")
        scene.wait_for(second, JobState.QUEUED)
        with pytest.raises(DeviceBroken):
            scene.end()
        assert scene.job(first).status is JobState.SUCCEEDED
        assert operator.workers()[0].state == "quarantined"

    async def test_job_that_lost_a_worker_is_drawn_alone(
        self, scene: Scene, redis_server: RedisServer
    ) -> None:
        """If it kills this process too, no other job is lost with it."""
        first, second, third = await scene.submit_held(3)
        redis_server.client.hset(redis_keys.JOB + second, "lost_leases", 1)
        running = []

        def look(index: int) -> None:
            if index == 0:
                jobs = [scene.job(one) for one in (first, second, third)]
                running.append([job.id for job in jobs if job.status is JobState.RUNNING])

        scene.worker.pipeline.at_step = look
        scene.start()
        scene.wait_for(second, Stage.LOADING)
        await asyncio.sleep(0.5)
        assert running == [[first]]
        scene.end()
        assert running == [[first], [second], [third]]


class TestReadAhead:
    async def test_keys_of_the_next_job_are_read_while_another_is_drawn(self, scene: Scene) -> None:
        """Once: its attempt finds them read."""
        _, second = await scene.submit_held(2)
        scene.storage.held.clear()
        seen = []

        def look(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 1 and index == STEPS - 1:
                wait_until(lambda: any(second in key for key in scene.storage.read_keys), "read")
                seen.append(scene.job(second).status)

        scene.worker.pipeline.at_step = look
        scene.start()
        scene.end()
        assert seen == [JobState.QUEUED]
        assert len([key for key in scene.storage.read_keys if f"{second}/inputs" in key]) == 1

    async def test_job_that_comes_first_after_all_gets_its_own_keys(self, scene: Scene) -> None:
        """What was read for another job is not drawn for it."""
        _, read_in_vain = [await scene.submit(priority=Priority.BATCH, seed=n) for n in range(2)]
        red = np.asarray(drawing(color="red"))

        def submit_another(index: int) -> None:
            if len(scene.worker.pipeline.seen) == 1 and index == STEPS - 1:
                reads = scene.storage.read_keys
                wait_until(lambda: any(read_in_vain in key for key in reads), "it is read ahead")
                scene.submit_from_elsewhere(red)

        scene.worker.pipeline.at_step = submit_another
        scene.start()
        scene.end()
        colours = [tuple(one["keyframes"][0][64, 100]) for one in scene.worker.pipeline.seen]
        assert colours == [TEAL, RED, TEAL]
