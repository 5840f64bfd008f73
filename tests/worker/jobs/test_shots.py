"""Jobs of several segments: what is stored, what is remembered, and who is told of a failure."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.errors import OutOfMemory
from core.objects.object_keys import drawing_key
from core.objects.storage import open_storage
from core.records.job import JobState
from core.records.request import OutputFormat
from core.records.tenant import DEFAULT_TENANT
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from model.pipeline_tooncrafter import NumericalError
from testkit.jobs import MODEL, TENANT_LIMITS, drawing
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import StandInPipeline, Worker, read
from testkit.worker.shot_jobs import submit_shot
from worker.jobs.progress import WorkerStops

COLORS = ("teal", "red", "navy", "olive")


async def submit(
    jobs: TenantJobs, worker: Worker, colors: tuple[str, ...] = COLORS, **fields: object
) -> str:
    keys = [np.asarray(drawing(color=color)) for color in colors]
    return await submit_shot(
        jobs, worker.storage, keys, **{"steps": 1, "frames_between": 2} | fields
    )


class TestResult:
    async def test_a_doubled_rate_is_of_films_alone(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Four drawings on twos: the film lasts as long, and the sheet shows the same pictures."""
        outputs = [OutputFormat(format="mp4"), OutputFormat(format="contact_sheet")]
        fields = {"interpolate": 2, "exposure": 2, "fps": 60, "outputs": outputs}
        job_id = await submit(async_store, worker, ("teal", "red"), **fields)
        worker.run()
        film, sheet = read(worker.store, job_id).outputs
        assert (film.frames, film.fps) == (2 * 2 * 4, 120)
        assert (sheet.frames, sheet.fps) == (1, 60)

    async def test_each_drawing_is_stored_for_itself(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Of every variant, losslessly: a preserved key is the source to the bit."""
        fields = {"preserve_keyframes": True, "output_size": "source", "variants": 2}
        job_id = await submit(async_store, worker, ("teal", "red"), **fields)
        worker.run()
        job = read(worker.store, job_id)
        assert [(output.name, output.variant) for output in job.outputs] == [
            ("video.mp4", 1),
            ("video-v2.mp4", 2),
        ]
        for variant in (1, 2):
            data = worker.storage.get(drawing_key(job_id, job.fence, variant, 3))
            served = np.asarray(Image.open(io.BytesIO(data)))
            np.testing.assert_array_equal(served, np.asarray(drawing(color="red")))

    async def test_report_of_each_variant_is_in_the_record(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        job_id = await submit(async_store, folder_worker, variants=2)
        folder_worker.run()
        reports = read(folder_worker.store, job_id).quality
        assert [report.variant for report in reports] == [1, 2]
        assert [len(report.color_drift) for report in reports] == [3, 3]
        assert [len(report.key_psnr_db) for report in reports] == [4, 4]

    async def test_progress_counts_segments(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Over all variants; percent grows from one to the next."""
        job_id = await submit(async_store, folder_worker, variants=2)
        seen = []
        folder_worker.pipeline.at_step = lambda _: seen.append(
            read(folder_worker.store, job_id).progress
        )
        folder_worker.run()
        assert [(one.segment, one.segments) for one in seen] == [(n, 6) for n in range(1, 7)]
        percents = [one.percent for one in seen]
        assert percents == sorted(set(percents))
        assert percents[3] == pytest.approx(50, abs=5)


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (NumericalError("latents are not finite"), "numerical_error"),
            (OutOfMemory("a canvas of 128x128 does not fit"), "out_of_memory"),
            (KeyError("x"), "internal"),
        ],
    )
    async def test_names_the_segment(
        self, folder_worker: Worker, async_store: TenantJobs, error: Exception, code: str
    ) -> None:
        def fail_in_the_third(_: int) -> None:
            if len(folder_worker.pipeline.seen) == 3:
                raise error

        folder_worker.pipeline.at_step = fail_in_the_third
        job_id = await submit(async_store, folder_worker)
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert job.status is JobState.FAILED
        assert job.error.code == code
        assert job.error.detail.startswith("segment 3 of 3: ")


class TestMemory:
    """The stand-in draws flat frames; what counts is how often it is asked."""

    async def test_same_shot_runs_no_model(self, worker: Worker, async_store: TenantJobs) -> None:
        """And comes to the same file, from copies: deleting the first job harms none."""
        first = await submit(async_store, worker)
        worker.run()
        second = await submit(async_store, worker)
        worker.run()
        assert len(worker.pipeline.seen) == 3
        await delete(async_store, worker, first)
        third = await submit(async_store, worker)
        worker.run()
        assert len(worker.pipeline.seen) == 3
        jobs = [read(worker.store, job_id) for job_id in (second, third)]
        assert [job.reused_segments for job in jobs] == [3, 3]
        assert jobs[0].outputs == jobs[1].outputs

    async def test_changed_key_changes_two_segments(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Those at its sides; of the loop's four segments the other two are copied."""
        await submit(async_store, worker, loop=True)
        worker.run()
        changed = await submit(async_store, worker, (*COLORS[:2], "pink", COLORS[3]), loop=True)
        worker.run()
        assert len(worker.pipeline.seen) == 4 + 2
        assert read(worker.store, changed).reused_segments == 2

    @pytest.mark.parametrize(
        "change", [{"seed": 8}, {"prompt": "a fox"}, {"steps": 2}, {"width": 192}, {"reuse": False}]
    )
    async def test_other_work_is_drawn(
        self, folder_worker: Worker, async_store: TenantJobs, change: dict[str, object]
    ) -> None:
        for fields in ({}, change):
            await submit(async_store, folder_worker, **fields)
            folder_worker.run()
        assert len(folder_worker.pipeline.seen) == 6

    @pytest.mark.parametrize(
        "change", [{"color_match": True}, {"fps": 24}, {"preserve_keyframes": True}]
    )
    async def test_what_happens_to_the_frames_later_is_no_other_work(
        self, folder_worker: Worker, async_store: TenantJobs, change: dict[str, object]
    ) -> None:
        for fields in ({}, change):
            await submit(async_store, folder_worker, **fields)
            folder_worker.run()
        assert len(folder_worker.pipeline.seen) == 3

    async def test_tenants_share_nothing(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        for tenant in ("acme", "zoo"):
            jobs = async_store.of_tenant(tenant, TENANT_LIMITS)
            await submit(jobs, folder_worker)
            folder_worker.run()
        assert len(folder_worker.pipeline.seen) == 6

    async def test_other_weights_draw_again(
        self, store: WorkerStore, async_store: TenantJobs, settings: Settings
    ) -> None:
        pipeline = StandInPipeline()
        for weights in ("sha256:0", "sha256:1"):
            model = MODEL.model_copy(update={"weights": weights})
            worker = Worker(store, open_storage(settings), pipeline, model=model)
            await submit(async_store, worker)
            worker.run()
            worker.heartbeat.end()
        assert len(pipeline.seen) == 6

    @pytest.mark.parametrize("reuse", [True, False])
    async def test_lost_attempt_goes_on_at_its_next_segment(
        self, worker: Worker, async_store: TenantJobs, redis_server: RedisServer, reuse: bool
    ) -> None:
        """Also where other jobs' segments are not wanted."""

        def vanish_in_the_third(_: int) -> None:
            if len(worker.pipeline.seen) == 3:
                redis_server.client.zadd(redis_keys.LEASES, {job_id: 1})
                DispatcherStore(redis_server.url).recover_expired_leases()

        worker.pipeline.at_step = vanish_in_the_third
        job_id = await submit(async_store, worker, reuse=reuse)
        worker.run()
        assert read(worker.store, job_id).status is JobState.QUEUED
        worker.pipeline.at_step = lambda _: None
        worker.run()
        job = read(worker.store, job_id)
        assert (job.status, job.attempts, job.reused_segments) == (JobState.SUCCEEDED, 2, 2)
        assert len(worker.pipeline.seen) == 3 + 1

    async def test_job_that_was_given_back_goes_on_at_its_next_segment(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Though an attempt that ended in order counts as none."""

        def stop_in_the_third(_: int) -> None:
            if len(folder_worker.pipeline.seen) == 3:
                raise WorkerStops

        folder_worker.pipeline.at_step = stop_in_the_third
        job_id = await submit(async_store, folder_worker, reuse=False)
        folder_worker.run()
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert (job.status, job.attempts, job.reused_segments) == (JobState.SUCCEEDED, 1, 2)

    async def test_damaged_frames_are_drawn_again(
        self, worker: Worker, async_store: TenantJobs, stored_keys: Callable[[], set[str]]
    ) -> None:
        await submit(async_store, worker, ("teal", "red"))
        worker.run()
        (key,) = (key for key in stored_keys() if "/segments/" in key)
        worker.storage.put(key, b"nonsense", "application/zlib")
        again = await submit(async_store, worker, ("teal", "red"))
        worker.run()
        assert len(worker.pipeline.seen) == 2
        assert read(worker.store, again).reused_segments == 0

    async def test_oldest_go_beyond_the_quota(
        self,
        folder_worker: Worker,
        async_store: TenantJobs,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """Their objects too; what is left is within it."""
        sizes = redis_server.client
        await submit(async_store, folder_worker)
        folder_worker.run()
        three = int(sizes.hget(redis_keys.SEGMENT_BYTES, DEFAULT_TENANT))
        folder_worker.runner._limits = replace(folder_worker.runner._limits, segment_quota=three)
        job_id = await submit(async_store, folder_worker, seed=9)
        folder_worker.run()
        assert int(sizes.hget(redis_keys.SEGMENT_BYTES, DEFAULT_TENANT)) == three
        kept = {key.split("/")[1] for key in stored_keys() if "/segments/" in key}
        assert kept == {job_id}
        await submit(async_store, folder_worker)
        folder_worker.run()
        assert len(folder_worker.pipeline.seen) == 9

    async def test_deleted_jobs_leave_nothing_behind(
        self, folder_worker: Worker, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        job_ids = [await submit(async_store, folder_worker) for _ in range(2)]
        for _ in job_ids:
            folder_worker.run()
        for job_id in job_ids:
            await delete(async_store, folder_worker, job_id)
        assert redis_server.client.keys("tc:segment*") == []


async def delete(jobs: TenantJobs, worker: Worker, job_id: str) -> None:
    """Delete record and objects, as a caller does."""
    await jobs.delete(job_id)
    worker.storage.delete_prefix(f"jobs/{job_id}/")
