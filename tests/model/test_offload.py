"""Weights that visit the device only while they are needed are there whenever they are used.

Both libraries bring weights when `forward` is called. A weight that is used in another way stays
where it was, which is invisible without a GPU. So here weights that are away have no values, and
the frames show it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from diffusers.hooks import apply_group_offloading
from torch import nn

from model.adapters import load_adapters, use_adapter
from model.decoding import TWO_PASS_MIN_FRAMES
from model.pipeline_tooncrafter import ToonCrafterPipeline

NUM_FRAMES = TWO_PASS_MIN_FRAMES  # of a clip that is decoded as long ones are


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
    sketches = [None] * NUM_FRAMES
    generator = torch.Generator().manual_seed(1)
    clip = pipe(
        keyframes,
        height=64,
        width=64,
        num_frames=NUM_FRAMES,
        num_inference_steps=2,
        sketches=sketches,
        generator=generator,
    )
    return clip.frames


def take_networks_away(pipe: ToonCrafterPipeline, _: Path) -> None:
    """As model offload does it, with torch's device without memory for main memory."""
    for network in networks(pipe).values():
        weights = {name: weight.clone() for name, weight in network.state_dict().items()}
        away = AlignDevicesHook(
            execution_device="cpu", offload=True, weights_map=weights, place_submodules=True
        )
        add_hook_to_module(network, away)
    assert pipe.unet.conv_in.weight.is_meta


def take_layers_away(pipe: ToonCrafterPipeline, folder: Path) -> None:
    """As group offload does it by leaves: each weight waits for its own module's `forward`."""
    cpu = torch.device("cpu")
    for name, network in networks(pipe).items():
        apply_group_offloading(
            network, cpu, cpu, offload_type="leaf_level", offload_to_disk_path=str(folder / name)
        )
    assert pipe.unet.conv_in.weight.isnan().all()


TakeAway = Callable[[ToonCrafterPipeline, Path], None]
WAYS = pytest.mark.parametrize("take_away", [take_networks_away, take_layers_away])


@WAYS
@pytest.mark.usefixtures("uninitialised_memory_is_nan")
def test_weights_are_brought_when_they_are_used(
    pipe: ToonCrafterPipeline, take_away: TakeAway, tmp_path: Path
) -> None:
    expected = draw(ToonCrafterPipeline.from_preset("tiny"))
    take_away(pipe, tmp_path)
    assert (draw(pipe) == expected).all()
    assert (draw(pipe) == expected).all(), "the second clip finds everything away again"


@WAYS
@pytest.mark.usefixtures("uninitialised_memory_is_nan")
def test_an_adapter_is_brought_with_the_layers_that_it_changes(
    pipe: ToonCrafterPipeline, adapter: Path, take_away: TakeAway, tmp_path: Path
) -> None:
    """Switched on and off it draws what it draws without offload, guidance included."""
    expected = {None: draw(pipe)}
    load_adapters(pipe, [adapter])
    use_adapter(pipe, 0)
    expected[0] = draw(pipe)
    assert (expected[0] != expected[None]).any()
    take_away(pipe, tmp_path)
    for number in (0, None, 0):
        use_adapter(pipe, number)
        assert (draw(pipe) == expected[number]).all()
