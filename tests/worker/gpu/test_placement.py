"""Where the model's parts lie and whether they are compiled changes speed and memory, never the
drawings.
"""

import shutil
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
import torch

from core.setting_types import Offload
from core.shots.passes import NUM_FRAMES
from model.pipeline_tooncrafter import ToonCrafterPipeline
from worker.gpu.placement import compile_and_warm_up, device_of_weights, place

WIDTH, HEIGHT = 192, 128


@pytest.fixture
def pipeline() -> Iterator[ToonCrafterPipeline]:
    yield ToonCrafterPipeline.from_preset("tiny")
    torch.compiler.reset()


def drawing(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def frames_of(pipeline: ToonCrafterPipeline, **options: Any) -> np.ndarray:
    first = drawing(0)
    generator = torch.Generator().manual_seed(1)
    clip = pipeline(
        [first, first[::-1]],
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=2,
        generator=generator,
        **options,
    )
    return clip.frames


@pytest.mark.parametrize("offload", [mode for mode in get_args(Offload) if mode != "none"])
def test_offloaded_parts_draw_the_same_frames_job_after_job(
    pipeline: ToonCrafterPipeline, offload: Offload
) -> None:
    expected = frames_of(pipeline)
    place(pipeline, "cpu", offload)
    assert np.array_equal(frames_of(pipeline), expected)
    assert np.array_equal(frames_of(pipeline), expected)


def test_weights_wait_in_main_memory_where_only_parts_visit_the_device() -> None:
    loaded_to = {mode: device_of_weights("cuda:1", mode) for mode in get_args(Offload)}
    assert loaded_to == {"none": "cuda:1", "encoders": "cuda:1", "model": "cpu", "group": "cpu"}


@pytest.mark.long
@pytest.mark.timeout(1800)  # four graphs to compile
@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++, which is not here")
def test_compiled_unet_draws_the_same_frames_and_no_job_waits_for_the_compiler(
    pipeline: ToonCrafterPipeline,
) -> None:
    """Fused kernels round differently, by less than one level of 255."""
    kinds = [{}, {"guidance_scale": 1.0}, {"sketches": [drawing(1)] * NUM_FRAMES}]
    expected = [frames_of(pipeline, **kind).astype(int) for kind in kinds]
    compile_and_warm_up(pipeline, [(WIDTH, HEIGHT)])
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert compiled == 4
    for kind, frames in zip(kinds, expected, strict=True):
        assert np.abs(frames_of(pipeline, **kind) - frames).max() <= 1
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled
