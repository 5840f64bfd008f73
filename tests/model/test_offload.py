"""Weights that visit the device only while they are needed are there whenever they are used.

Both libraries bring weights when `forward` is called. A weight that is used in another way stays
where it was, which is invisible without a GPU. So here weights that are away have no values, and
the frames show it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from diffusers.hooks import apply_group_offloading
from torch import nn

from model.pipeline_tooncrafter import ToonCrafterPipeline


@pytest.fixture
def pipe() -> ToonCrafterPipeline:
    made = ToonCrafterPipeline.from_preset("tiny")
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture
def uninitialised_memory_is_nan() -> Iterator[None]:
    """What torch does in its deterministic mode,
    `torch.utils.deterministic.fill_uninitialized_memory`.
    """
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def networks(pipe: ToonCrafterPipeline) -> dict[str, nn.Module]:
    return {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}


def draw(pipe: ToonCrafterPipeline) -> np.ndarray:
    keyframes = [np.full((64, 64, 3), level, np.uint8) for level in (40, 200)]
    sketches = [None] * 16
    generator = torch.Generator().manual_seed(1)
    clip = pipe(
        keyframes,
        height=64,
        width=64,
        num_inference_steps=2,
        sketches=sketches,
        generator=generator,
    )
    return clip.frames


def test_a_network_is_brought_before_any_of_its_methods_runs(pipe):
    """As model offload does it, with torch's device without memory for main memory."""
    expected = draw(ToonCrafterPipeline.from_preset("tiny"))
    for network in networks(pipe).values():
        weights = {name: weight.clone() for name, weight in network.state_dict().items()}
        away = AlignDevicesHook(
            execution_device="cpu", offload=True, weights_map=weights, place_submodules=True
        )
        add_hook_to_module(network, away)
    assert pipe.unet.conv_in.weight.is_meta
    assert (draw(pipe) == expected).all()
    assert (draw(pipe) == expected).all(), "the second clip finds everything away again"


@pytest.mark.usefixtures("uninitialised_memory_is_nan")
def test_every_layer_is_brought_when_it_is_used(pipe, tmp_path: Path):
    """As group offload does it by leaves, where each weight waits for the `forward` of its own
    module.
    """
    expected = draw(pipe)
    pipe = ToonCrafterPipeline.from_preset("tiny")
    cpu = torch.device("cpu")
    for name, network in networks(pipe).items():
        folder = str(tmp_path / name)
        apply_group_offloading(
            network, cpu, cpu, offload_type="leaf_level", offload_to_disk_path=folder
        )
    assert pipe.unet.conv_in.weight.isnan().all()
    assert (draw(pipe) == expected).all()
    assert (draw(pipe) == expected).all(), "the second clip finds everything away again"
