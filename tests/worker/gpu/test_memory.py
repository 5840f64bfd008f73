"""A device whose memory is too small: the real tiny pipeline, in which one part cannot allocate at
times.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OutOfMemory
from core.objects.storage import open_storage
from core.records.job import JobState
from core.setting_types import Offload
from core.settings import Settings
from core.shots.canvas import CANVAS_MULTIPLE, MAX_SIDE, MIN_SIDE, Size
from core.store.roles.worker import WorkerStore
from model.pipeline_tooncrafter import ToonCrafterPipeline
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import Worker, read, submit
from worker.gpu.memory import LOW_MEMORY_CHUNK, DeviceMemory, canvas_that_fits, is_out_of_memory
from worker.gpu.placement import place

CANVAS = Size(128, 128)
NO_ROOM = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of …"
)


@pytest.fixture(scope="module")
def tiny() -> ToonCrafterPipeline:
    pipeline = ToonCrafterPipeline.from_preset("tiny")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def worker(store: WorkerStore, settings: Settings, tiny: ToonCrafterPipeline) -> Iterator[Worker]:
    """With the real pipeline in the stand-in's place."""
    worker = Worker(store, open_storage(settings), tiny)
    yield worker
    worker.heartbeat.end()


@pytest.fixture
def cramped(tiny: ToonCrafterPipeline) -> Iterator[Callable[..., list[str]]]:
    """Lets a part of the pipeline run out of memory whenever a condition holds; answers what it
    did, in order.
    """
    handles = []

    def make(part: str, while_: Callable[[], bool]) -> list[str]:
        done: list[str] = []

        def allocate(*_: object) -> None:
            done.append("refused" if while_() else "ran")
            if while_():
                raise NO_ROOM

        handles.append(getattr(tiny, part).register_forward_pre_hook(allocate))
        return done

    yield make
    for handle in handles:
        handle.remove()


class TestJob:
    @pytest.mark.parametrize("part", ["text_encoder", "unet"])
    async def test_what_does_not_fit_is_done_in_the_low_memory_mode(
        self,
        worker: Worker,
        async_store: TenantJobs,
        tiny: ToonCrafterPipeline,
        cramped: Callable[..., list[str]],
        part: str,
    ) -> None:
        """Once more from the start, with decoding in small pieces; the next job has the whole
        device again.
        """
        done = cramped(part, lambda: tiny.vae.chunk_elements != LOW_MEMORY_CHUNK)
        job_id = await submit(async_store, worker.storage, steps=1)
        worker.run()
        job = read(worker.store, job_id)
        assert (job.status, job.attempts) == (JobState.SUCCEEDED, 1)
        assert done[0] == "refused"
        assert set(done[1:]) == {"ran"}
        assert tiny.vae.chunk_elements is None
        assert not tiny._all_hooks

    async def test_what_never_fits_is_told_with_a_canvas_that_may(
        self, worker: Worker, async_store: TenantJobs, cramped: Callable[..., list[str]]
    ) -> None:
        """After one more try; the worker takes the next job."""
        done = cramped("unet", lambda: len(done) <= 2)
        job_id = await submit(async_store, worker.storage, steps=1, width=256, height=256)
        worker.run()
        job = read(worker.store, job_id)
        assert job.error is not None
        assert job.error.code == "out_of_memory"
        assert (
            job.error.detail
            == "a canvas of 256x256 does not fit into the device's memory; 128x192 may"
        )
        assert done == ["refused", "refused"]

        following = await submit(async_store, worker.storage, steps=1)
        worker.run()
        assert read(worker.store, following).status is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "offload",
    [
        "model",
        *(pytest.param(way, marks=pytest.mark.long) for way in ("none", "encoders", "group")),
    ],
)
def test_low_memory_mode_draws_the_same_frames_and_leaves_no_trace(offload: Offload) -> None:
    """Whatever leaves the device already."""
    pipeline = ToonCrafterPipeline.from_preset("tiny")
    place(pipeline, "cpu", offload)
    memory = DeviceMemory(pipeline, "cpu", offload)

    def draw() -> np.ndarray:
        drawing = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        generator = torch.Generator().manual_seed(1)
        clip = pipeline(
            [drawing, drawing[::-1]],
            height=64,
            width=64,
            num_inference_steps=1,
            generator=generator,
        )
        return clip.frames

    expected = draw()
    with memory.low_memory_mode():
        assert np.array_equal(draw(), expected)
    assert np.array_equal(draw(), expected)
    assert pipeline.offload_encoders == (offload == "encoders")


class TestRecognised:
    @pytest.mark.parametrize(
        "error",
        [
            NO_ROOM,
            MemoryError(),
            torch.AcceleratorError(
                "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"
            ),
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB, …)"),
        ],
    )
    def test_every_allocators_words(self, error: Exception) -> None:
        """Not all of them raise torch's own class."""
        assert is_out_of_memory(error)

    def test_cpu(self) -> None:
        """As torch raises it itself; no device has this much memory."""
        with pytest.raises(RuntimeError) as error:
            torch.empty(2**60, dtype=torch.uint8)
        assert is_out_of_memory(error.value)

    @pytest.mark.parametrize(
        "error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("memory")]
    )
    def test_others(self, error: Exception) -> None:
        """They mean something else."""
        assert not is_out_of_memory(error)


class TestCanvasThatFits:
    @pytest.mark.parametrize(
        ("canvas", "share", "expected"),
        [
            (Size(512, 320), 0.5, Size(320, 192)),
            (Size(320, 512), 0.5, Size(192, 320)),
            (Size(1024, 1024), 0.25, Size(512, 512)),
            (Size(512, 320), 1.5, Size(448, 320)),  # it did not fit, whatever was measured
            (Size(128, 128), 0.9, None),  # the smallest that the model draws on
            (Size(512, 320), 0.0, None),
        ],
    )
    def test_known_cases(self, canvas: Size, share: float, expected: Size | None) -> None:
        """Shape first, then size."""
        assert canvas_that_fits(canvas, share) == expected

    @given(width=st.integers(2, 16), height=st.integers(2, 16), share=st.floats(0, 2))
    def test_any_case(self, width: int, height: int, share: float) -> None:
        """What is named is a canvas that the service takes, smaller than the one that failed, and
        within the share.
        """
        canvas = Size(width * CANVAS_MULTIPLE, height * CANVAS_MULTIPLE)
        fits = canvas_that_fits(canvas, share)
        if fits is None:
            smallest = MIN_SIDE * MIN_SIDE
            assert (
                canvas.width * canvas.height * Fraction(share) < smallest
                or canvas.width * canvas.height == smallest
            )
            return
        assert all(side % CANVAS_MULTIPLE == 0 and MIN_SIDE <= side <= MAX_SIDE for side in fits)
        assert fits.width * fits.height < canvas.width * canvas.height
        assert fits.width * fits.height <= canvas.width * canvas.height * share


def test_other_errors_are_not_tried_again(tiny: ToonCrafterPipeline) -> None:
    """Only memory is a reason to."""
    tries = []

    def fail() -> None:
        tries.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        DeviceMemory(tiny, "cpu", "none").fit(CANVAS, fail)
    assert tries == [1]


def test_smallest_canvas_has_no_smaller_one(tiny: ToonCrafterPipeline) -> None:
    """Then the words promise nothing."""

    def fail() -> None:
        raise NO_ROOM

    with pytest.raises(OutOfMemory, match="nor would the smallest"):
        DeviceMemory(tiny, "cpu", "none").fit(CANVAS, fail)
