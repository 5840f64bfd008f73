"""A whole shot through a gateway and a real worker process: every format, a changed key, a killed
worker.

The pipeline is a stand-in that fades from key to key, so that the test takes seconds.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import AsyncClient
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from core.records.job import JobState
from core.settings import Settings
from testkit.api.calls import URL, files
from testkit.api.gateway import gateway
from testkit.servers import Process, wait_until
from testkit.worker.films import decode, drawn, needs_ffmpeg, probe
from testkit.worker.processes import WorkerStack, child_of
from testkit.worker.shot_jobs import png_of
from worker.export.film import over

HEIGHT, WIDTH = 121, 161  # odd, which H.264 cannot store
KEYS = drawn(5, HEIGHT, WIDTH)
WHITE = (255, 255, 255)
SKETCHES = [over(key, WHITE) for key in KEYS[1:3]]
FRAMES = [0, 4, 7, 12, 14]
DRAWINGS = FRAMES[-1] + 1 + 3  # and the loop's three
FILM_FRAMES = 2 * DRAWINGS + 5  # on twos, and one key is held for 7 film frames
FPS = 24
MOVING = ["mp4", "webm", "gif", "apng", "webp", "prores", "contact_sheet", "xdts"]
SHOT: dict[str, Any] = {
    "keyframes": [{"frame": frame, "hold": 7 if frame == 12 else None} for frame in FRAMES],
    "sketches": [{"frame": 2}, {"frame": 9}],
    "spacing": "ease_in_out",
    "frames_between": 3,
    "loop": True,
    "exposure": 2,
    "fps": FPS,
    "width": 192,
    "height": 128,
    "output_size": "source",
    "outputs": [*({"format": name} for name in MOVING), {"format": "png", "shot": "sc042"}],
    "seed": 7,
    "steps": 1,
}


class Files:
    """The outputs of a job, by format, as its caller downloads them."""

    def __init__(self, job: dict[str, Any], folder: Path) -> None:
        self.job = job
        self.outputs = {output["format"]: output for output in job["outputs"]}
        self.folder = folder
        self._contents: dict[str, bytes] = {}

    async def download(self, client: AsyncClient) -> None:
        for name, output in self.outputs.items():
            answer = await client.get(f"{URL}/{self.job['id']}/outputs/{output['name']}")
            assert answer.status_code == 200, name
            assert len(answer.content) == output["bytes"], name
            self._contents[name] = answer.content

    def read(self, name: str) -> bytes:
        return self._contents[name]

    def image(self, name: str) -> Image.Image:
        return Image.open(io.BytesIO(self.read(name)))


async def submit(client: AsyncClient, keys: Sequence[NDArray[np.uint8]], **changes: Any) -> str:
    """A form as curl sends it: the drawings as files, all else as one part of JSON."""
    sketches = [("sketch", ("rough.png", png_of(one), "image/png")) for one in SKETCHES]
    answer = await client.post(
        URL,
        files=[*files(*map(png_of, keys)), *sketches],
        data={"request": json.dumps(SHOT | changes)},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.long  # whole stacks draw shots too, and each format has tests of its own
@needs_ffmpeg
async def test_shot_in_every_format_then_with_another_key_then_with_a_killed_worker(
    stack: WorkerStack, worker_process: Process, settings: Settings, tmp_path: Path
) -> None:
    """Five keys, eased, on twos, looped, 24 fps, two sketches, alpha. One worker does all of it:
    starting one takes longer than its work.
    """
    async with gateway(settings) as client:

        async def job_of(job_id: str) -> dict[str, Any]:
            stack.wait_for_job(job_id, JobState.SUCCEEDED)
            job: dict[str, Any] = (await client.get(f"{URL}/{job_id}")).json()
            return job

        first = await submit(client, KEYS)
        stack.send()
        job = await job_of(first)
        assert (job["plan"]["segments"], job["plan"]["reused"]) == (5, 0)
        found = Files(job, tmp_path)
        await found.download(client)
        check_films(found)
        check_animations(found)
        check_sequence_and_sheets(found)

        quick = {"outputs": [{"format": "mp4"}]}  # the other files were seen above
        other_key = [*KEYS[:2], KEYS[2][:, ::-1], *KEYS[3:]]
        changed = await submit(client, other_key, **quick)
        stack.send()
        assert (await job_of(changed))["plan"]["reused"] == 3  # of five

        stack.cause("dawdle")
        opaque = [over(key, WHITE) for key in KEYS]
        killed = await submit(client, opaque, steps=6, reuse=False, **quick)
        stack.send()
        wait_until(lambda: is_drawn(stack, killed, 4), "the fourth segment", 60)
        child_of(worker_process).kill()
        killed_in = stack.job(killed).progress.segment  # a busy machine may have come further
        assert killed_in in (4, 5)
        stack.cause("")
        wait_until(
            lambda: killed in stack.dispatcher.recover_expired_leases().requeued,
            "the lease ends",
            20,
        )
        stack.send()
        job = await job_of(killed)
        assert job["attempts"] == 2
        assert job["plan"]["reused"] in range(3, killed_in)  # the last may not be stored yet

        # Killed with two jobs in one worker: the first is encoded, the second is drawn.
        stored = await submit(client, opaque, seed=1)
        drawn_beside = await submit(client, opaque, steps=50, reuse=False, **quick)
        stack.cause("dawdle")
        stack.send()
        wait_until(lambda: is_drawn(stack, drawn_beside, 1), "the second is drawn", 60)
        (record,) = stack.workers("busy")
        assert (record.job, record.finishing) == (drawn_beside, stored)
        child_of(worker_process).kill()
        stack.cause("")
        lost: list[str] = []

        def have_both_leases_ended() -> bool:
            lost.extend(stack.dispatcher.recover_expired_leases().requeued)
            return sorted(lost) == sorted([stored, drawn_beside])

        wait_until(have_both_leases_ended, "both leases end", 20)
        stack.send()
        for job_id in (stored, drawn_beside):
            assert (await job_of(job_id))["attempts"] == 2


def is_drawn(stack: WorkerStack, job_id: str, segment: int) -> bool:
    """Whether the device has worked at this segment for a step."""
    progress = stack.job(job_id).progress
    return progress is not None and progress.segment == segment and progress.step > 0


def check_films(found: Files) -> None:
    """As ffmpeg sees them: a frame for each film frame, at the rate."""
    sizes = {"mp4": (WIDTH + 1, HEIGHT + 1), "webm": (WIDTH, HEIGHT), "prores": (WIDTH, HEIGHT)}
    for name, size in sizes.items():
        stream, seconds = probe(found.read(name), found.folder)
        assert int(stream["nb_read_frames"]) == found.outputs[name]["frames"] == FILM_FRAMES, name
        assert (stream["width"], stream["height"]) == size, name
        assert (stream["r_frame_rate"], stream["color_space"]) == (f"{FPS}/1", "bt709"), name
        assert float(seconds) == pytest.approx(FILM_FRAMES / FPS, abs=0.01), name
    for name, codec in (("webm", "libvpx-vp9"), ("prores", "")):
        frames = decode(found.read(name), found.folder, (WIDTH, HEIGHT), 4, codec)
        error = np.abs(frames[0, ..., 3].astype(int) - KEYS[0][..., 3]).mean()
        assert error < 2, name


def check_animations(found: Files) -> None:
    """As Pillow sees them: a picture for each drawing, and the film's length."""
    for name in ("gif", "apng", "webp"):
        pictures = list(ImageSequence.Iterator(found.image(name)))
        assert len(pictures) == DRAWINGS, name
        assert found.image(name).size == (WIDTH, HEIGHT), name
        milliseconds = sum(milliseconds_of(found.read(name), index) for index in range(DRAWINGS))
        assert milliseconds == pytest.approx(1000 * FILM_FRAMES / FPS, abs=10), name
        assert pictures[0].convert("RGBA").getpixel((1, 1))[3] == 0, name


def milliseconds_of(animation: bytes, index: int) -> float:
    image = Image.open(io.BytesIO(animation))
    image.seek(index)
    image.load()
    return float(image.info["duration"])


def check_sequence_and_sheets(found: Files) -> None:
    """Keys are in the sequence to the bit, the timing sheet has its numbers."""
    with zipfile.ZipFile(io.BytesIO(found.read("png"))) as archive:
        names = archive.namelist()
        assert names == [f"sc042_A.{number:04d}.png" for number in range(1, DRAWINGS + 1)]
        for key, frame in zip(KEYS, FRAMES, strict=True):
            picture = np.asarray(Image.open(io.BytesIO(archive.read(names[frame]))))
            np.testing.assert_array_equal(picture, key)
    table = json.loads(found.read("xdts").split(b"\n")[1])["timeTables"][0]
    cells = table["fields"][0]["tracks"][0]["frames"]
    assert table["duration"] == FILM_FRAMES
    assert [cell["data"][0]["values"][0] for cell in cells] == [
        str(number) for number in range(1, DRAWINGS + 1)
    ]
    assert found.image("contact_sheet").width > WIDTH
    assert found.job["quality"][0]["repeated_drawings"] == 0
