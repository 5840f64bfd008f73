"""Where the model's parts lie and whether they are compiled changes speed and memory, never the
drawings.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any, get_args

import numpy as np
import pytest
import torch

from core.setting_types import Offload
from core.shots.passes import NUM_FRAMES
from model.acceleration import accelerate
from model.assembly import randomise
from model.decoding import TWO_PASS_MIN_FRAMES
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import TINY
from model.unet_tooncrafter import ToonCrafterUNet
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


@pytest.mark.parametrize(
    "offload",
    ["model", *(pytest.param(way, marks=pytest.mark.long) for way in ("encoders", "group"))],
)
def test_offloaded_parts_draw_the_same_frames_job_after_job(
    pipeline: ToonCrafterPipeline, offload: Offload
) -> None:
    expected = frames_of(pipeline, num_frames=TWO_PASS_MIN_FRAMES)
    place(pipeline, "cpu", offload)
    for _ in range(2):
        frames = frames_of(pipeline, num_frames=TWO_PASS_MIN_FRAMES)
        assert np.array_equal(frames, expected)


def test_weights_wait_in_main_memory_where_only_parts_visit_the_device() -> None:
    loaded_to = {mode: device_of_weights("cuda:1", mode) for mode in get_args(Offload)}
    assert loaded_to == {"none": "cuda:1", "encoders": "cuda:1", "model": "cpu", "group": "cpu"}


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.long
def test_no_job_of_a_warmed_kind_waits_for_the_compiler(
    pipeline: ToonCrafterPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without guidance and sketches, drafts included; tracing alone decides, so the
    compiler behind it writes no code here.
    """
    traced = partial(accelerate, backend="eager")
    monkeypatch.setattr("model.acceleration.accelerate", traced)
    before = graphs()
    compile_and_warm_up(pipeline, [(WIDTH, HEIGHT)])
    warmed = graphs()
    assert warmed >= before + 4  # of the UNet, and the decoder's
    sketched = {"sketches": [drawing(1)] * NUM_FRAMES}
    draft = {"eta": 0.0, "solver": "few-step", "two_pass_decode": False}
    for kind in ({}, {"guidance_scale": 1.0}, sketched, {**sketched, "guidance_scale": 1.0}, draft):
        frames_of(pipeline, **kind)
    assert graphs() == warmed


@pytest.mark.long
@pytest.mark.timeout(900)  # the compiler writes and builds C++
@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++, which is not here")
def test_compiled_unet_draws_the_same_frames(pipeline: ToonCrafterPipeline) -> None:
    """Fused kernels round differently, by less than one level of 255. Two levels of the network
    have every kind of layer.
    """
    sizes = TINY.unet | {"block_out_channels": (8, 16), "attention_levels": (False, True)}
    unet = ToonCrafterUNet(**sizes).eval()
    randomise(unet, torch.Generator().manual_seed(1))
    pipeline.register_modules(unet=unet, sketch_encoder=None)
    pipeline.vae.chunk_elements = 2**12  # so that the decoder runs as it is
    expected = frames_of(pipeline).astype(int)
    before = graphs()
    accelerate(pipeline)
    assert np.abs(frames_of(pipeline) - expected).max() <= 1
    assert graphs() > before  # it did not fall back
