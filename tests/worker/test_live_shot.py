"""A whole shot through a real worker process: every format, a changed key, a killed worker.

The pipeline is a stand-in that fades from key to key, so that the test takes seconds.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from core.objects.keys import output_key
from core.objects.storage import ObjectStorage, open_storage
from core.records.job import Job, JobState
from core.records.request import FileFormat, OutputFormat, SequenceFormat
from core.settings import Settings
from testkit.servers import Process, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.films import decode, drawn, needs_ffmpeg, probe
from testkit.worker.processes import WorkerStack, child_of
from testkit.worker.shot_jobs import submit_shot
from worker.export.film import over

HEIGHT, WIDTH = 121, 161  # odd, which H.264 cannot store
KEYS = drawn(5, HEIGHT, WIDTH)
WHITE = (255, 255, 255)
FRAMES = [0, 4, 7, 12, 14]
DRAWINGS = FRAMES[-1] + 1 + 3  # and the loop's three
FILM_FRAMES = 2 * DRAWINGS + 5  # on twos, and one key is held for 7 film frames
FPS = 24
MOVING: list[FileFormat] = ["mp4", "webm", "gif", "apng", "webp", "prores", "contact_sheet", "xdts"]
SHOT: dict[str, Any] = {
    "about_keys": [{"frame": frame, "hold": 7 if frame == 12 else None} for frame in FRAMES],
    "sketches": {2: KEYS[1], 9: KEYS[2]},
    "spacing": "ease_in_out",
    "frames_between": 3,
    "loop": True,
    "exposure": 2,
    "fps": FPS,
    "width": 192,
    "height": 128,
    "preserve_keyframes": True,
    "color_match": True,
    "output_size": "source",
    "outputs": [*(OutputFormat(format=name) for name in MOVING), SequenceFormat(shot="sc042")],
}


class Files:
    """The outputs of a job, by format."""

    def __init__(self, job: Job, storage: ObjectStorage, folder: Path) -> None:
        self.job = job
        self.outputs = {output.format: output for output in job.outputs}
        self.folder = folder
        self._storage = storage

    def read(self, name: FileFormat) -> bytes:
        return self._storage.get(output_key(self.job.id, self.job.fence, self.outputs[name].name))

    def image(self, name: FileFormat) -> Image.Image:
        return Image.open(io.BytesIO(self.read(name)))


@needs_ffmpeg
async def test_shot_in_every_format_then_with_another_key_then_with_a_killed_worker(
    stack: WorkerStack,
    worker_process: Process,
    async_store: TenantJobs,
    settings: Settings,
    tmp_path: Path,
) -> None:
    """Five keys, eased, on twos, looped, 24 fps, two sketches, alpha. One worker does all of it:
    starting one takes longer than its work.
    """
    storage = open_storage(settings)

    job_id = await submit_shot(async_store, storage, KEYS, steps=1, **SHOT)
    stack.send()
    job = stack.wait_for_job(job_id, JobState.SUCCEEDED)
    assert job.reused_segments == 0
    files = Files(job, storage, tmp_path)
    check_films(files)
    check_animations(files)
    check_sequence_and_sheets(files)

    quick = SHOT | {"outputs": [OutputFormat()]}  # the other files were seen above
    other_key = [*KEYS[:2], KEYS[2][:, ::-1], *KEYS[3:]]
    changed = await submit_shot(async_store, storage, other_key, steps=1, **quick)
    stack.send()
    assert stack.wait_for_job(changed, JobState.SUCCEEDED).reused_segments == 3  # of five

    stack.cause("dawdle")
    opaque = [over(key, WHITE) for key in KEYS]
    killed = await submit_shot(async_store, storage, opaque, steps=10, reuse=False, **quick)
    stack.send()
    wait_until(lambda: segment_of(stack.job(killed)) == 4, "the fourth segment", 60)
    child_of(worker_process).kill()
    stack.cause("")
    wait_until(
        lambda: killed in stack.dispatcher.recover_expired_leases().requeued, "the lease ends", 20
    )
    stack.send()
    job = stack.wait_for_job(killed, JobState.SUCCEEDED)
    assert (job.attempts, job.lost_leases, job.reused_segments) == (2, 1, 3)


def segment_of(job: Job) -> int | None:
    return job.progress.segment if job.progress else None


def check_films(files: Files) -> None:
    """As ffmpeg sees them: a frame for each film frame, at the rate."""
    sizes = {"mp4": (WIDTH + 1, HEIGHT + 1), "webm": (WIDTH, HEIGHT), "prores": (WIDTH, HEIGHT)}
    for name, size in sizes.items():
        stream, seconds = probe(files.read(name), files.folder)
        assert int(stream["nb_read_frames"]) == files.outputs[name].frames == FILM_FRAMES, name
        assert (stream["width"], stream["height"]) == size, name
        assert (stream["r_frame_rate"], stream["color_space"]) == (f"{FPS}/1", "bt709"), name
        assert float(seconds) == pytest.approx(FILM_FRAMES / FPS, abs=0.01), name
    for name, codec in (("webm", "libvpx-vp9"), ("prores", "")):
        frames = decode(files.read(name), files.folder, (WIDTH, HEIGHT), 4, codec)
        error = np.abs(frames[0, ..., 3].astype(int) - KEYS[0][..., 3]).mean()
        assert error < 2, name


def check_animations(files: Files) -> None:
    """As Pillow sees them: a picture for each drawing, and the film's length."""
    for name in ("gif", "apng", "webp"):
        pictures = list(ImageSequence.Iterator(files.image(name)))
        assert len(pictures) == DRAWINGS, name
        assert files.image(name).size == (WIDTH, HEIGHT), name
        milliseconds = sum(milliseconds_of(files.read(name), index) for index in range(DRAWINGS))
        assert milliseconds == pytest.approx(1000 * FILM_FRAMES / FPS, abs=10), name
        assert pictures[0].convert("RGBA").getpixel((1, 1))[3] == 0, name


def milliseconds_of(animation: bytes, index: int) -> float:
    image = Image.open(io.BytesIO(animation))
    image.seek(index)
    image.load()
    return float(image.info["duration"])


def check_sequence_and_sheets(files: Files) -> None:
    """Keys are in the sequence to the bit, the timing sheet has its numbers."""
    with zipfile.ZipFile(io.BytesIO(files.read("png"))) as archive:
        names = archive.namelist()
        assert names == [f"sc042_A.{number:04d}.png" for number in range(1, DRAWINGS + 1)]
        for key, frame in zip(KEYS, FRAMES, strict=True):
            found = np.asarray(Image.open(io.BytesIO(archive.read(names[frame]))))
            np.testing.assert_array_equal(found, key)
    table = json.loads(files.read("xdts").split(b"\n")[1])["timeTables"][0]
    cells = table["fields"][0]["tracks"][0]["frames"]
    assert table["duration"] == FILM_FRAMES
    assert [cell["data"][0]["values"][0] for cell in cells] == [
        str(number) for number in range(1, DRAWINGS + 1)
    ]
    assert files.image("contact_sheet").width > WIDTH
    assert files.job.quality[0].repeated_drawings == 0
