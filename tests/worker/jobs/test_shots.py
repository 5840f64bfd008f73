"""Jobs of several segments: what is stored, what is remembered, and who is told of a failure."""

import io
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from core.errors import OutOfMemory
from core.objects.keys import drawing_key, input_key
from core.records.ids import new_job_id
from core.records.job import JobState
from core.records.request import Keyframe, OutputFormat, StoredImage
from model.pipeline_tooncrafter import NumericalError
from testkit.jobs import generation_request, png
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import TTL, Worker, read

COLORS = ("teal", "red", "navy", "olive")


def stored(worker: Worker, job_id: str, color: str) -> Keyframe:
    """Store a key as the gateway does."""
    data = png(color=color)
    image = StoredImage(
        sha256=sha256(data).hexdigest(),
        content_type="image/png",
        width=64,
        height=40,
        bytes=len(data),
    )
    worker.storage.put(input_key(job_id, image), data, image.content_type)
    return Keyframe(image=image)


async def submit_shot(
    jobs: TenantJobs, worker: Worker, colors: tuple[str, ...] = COLORS, **fields: object
) -> str:
    job_id = new_job_id()
    keys = [stored(worker, job_id, color) for color in colors]
    request = generation_request(**{"keyframes": keys, "steps": 1, "frames_between": 2, **fields})
    await jobs.submit(job_id, request, metadata={}, ttl=TTL, request_id="shot")
    return job_id


class TestResult:
    async def test_a_doubled_rate_is_of_films_alone(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Four drawings on twos: the film lasts as long, and the sheet shows the same pictures."""
        outputs = [OutputFormat(format="mp4"), OutputFormat(format="contact_sheet")]
        fields = {"interpolate": 2, "exposure": 2, "fps": 60, "outputs": outputs}
        job_id = await submit_shot(async_store, worker, ("teal", "red"), **fields)
        worker.run()
        film, sheet = read(worker.store, job_id).outputs
        assert (film.frames, film.fps) == (2 * 2 * 4, 120)
        assert (sheet.frames, sheet.fps) == (1, 60)

    async def test_each_drawing_is_stored_for_itself(
        self, worker: Worker, async_store: TenantJobs
    ) -> None:
        """Of every variant, losslessly: a preserved key is the source to the bit."""
        fields = {"preserve_keyframes": True, "output_size": "source", "variants": 2}
        job_id = await submit_shot(async_store, worker, ("teal", "red"), **fields)
        worker.run()
        job = read(worker.store, job_id)
        assert [(output.name, output.variant) for output in job.outputs] == [
            ("video.mp4", 1),
            ("video-v2.mp4", 2),
        ]
        for variant in (1, 2):
            data = worker.storage.get(drawing_key(job_id, job.fence, variant, 3))
            drawing = np.asarray(Image.open(io.BytesIO(data)))
            expected = np.asarray(Image.open(io.BytesIO(png(color="red"))))
            np.testing.assert_array_equal(drawing, expected)

    async def test_report_of_each_variant_is_in_the_record(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        job_id = await submit_shot(async_store, folder_worker, variants=2)
        folder_worker.run()
        reports = read(folder_worker.store, job_id).quality
        assert [report.variant for report in reports] == [1, 2]
        assert [len(report.color_drift) for report in reports] == [3, 3]
        assert [len(report.key_psnr_db) for report in reports] == [4, 4]

    async def test_progress_counts_segments(
        self, folder_worker: Worker, async_store: TenantJobs
    ) -> None:
        """Over all variants; percent grows from one to the next."""
        job_id = await submit_shot(async_store, folder_worker, variants=2)
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
        job_id = await submit_shot(async_store, folder_worker)
        folder_worker.run()
        job = read(folder_worker.store, job_id)
        assert job.status is JobState.FAILED
        assert job.error.code == code
        assert job.error.detail.startswith("segment 3 of 3: ")
