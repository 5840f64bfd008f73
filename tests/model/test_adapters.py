"""Adapters of tiny: each changes its pictures, and goes without a trace."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.setting_types import Offload
from model.adapters import (
    FILE_NAME,
    add_adapter,
    load_adapters,
    unload_adapters,
    use_adapter,
)
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.published_file import CheckpointError
from worker.gpu.placement import place


def made() -> ToonCrafterPipeline:
    pipeline = ToonCrafterPipeline.from_preset("tiny", seed=0)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline: ToonCrafterPipeline) -> NDArray[np.uint8]:
    key = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    generator = torch.Generator().manual_seed(0)
    options = {"height": 64, "width": 64, "num_frames": 6, "num_inference_steps": 1}
    frames: NDArray[np.uint8] = pipeline([key, key], generator=generator, **options).frames
    return frames


@torch.no_grad()
def predict(pipeline: ToonCrafterPipeline) -> Tensor:
    """Predict v once, through both adapted parts."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn((1, 5, 32), generator=generator)
    text = torch.randn((1, 77, 32), generator=generator)
    context = torch.cat([text, pipeline.image_projection(tokens)], dim=1)
    sample = torch.randn((1, 8, 16, 8, 8), generator=generator)
    predicted: Tensor = pipeline.unet(sample, torch.tensor([500]), context)
    return predicted


def test_only_the_adapter_learns() -> None:
    """Spatial attention and image projection get weights that learn; all else is frozen."""
    pipeline = made()
    add_adapter(pipeline, rank=2)
    learning = {n for n, p in pipeline.unet.named_parameters() if p.requires_grad}
    assert learning
    assert all("lora_" in name and ".spatial." in name for name in learning)
    assert any(p.requires_grad for p in pipeline.image_projection.parameters())
    assert torch.equal(predict(pipeline), predict(made()))  # it changes nothing yet


def test_an_adapter_changes_pictures_and_leaves_no_trace(adapter: Path) -> None:
    """Switched off, and unloaded, the model draws what it drew before, to the last bit."""
    pipeline = made()
    before, names = draw(pipeline), set(pipeline.unet.state_dict())
    (digest,) = load_adapters(pipeline, [adapter])
    assert digest.startswith("sha256:")
    use_adapter(pipeline, 0)
    assert not np.array_equal(draw(pipeline), before)
    use_adapter(pipeline, None)
    assert np.array_equal(draw(pipeline), before)
    unload_adapters(pipeline)
    assert np.array_equal(draw(pipeline), before)
    assert set(pipeline.unet.state_dict()) == names


@pytest.mark.parametrize("offload", ["model", "group"])
def test_an_offloaded_model_unloads_an_adapter_without_a_trace(
    adapter: Path, offload: Offload
) -> None:
    pipeline = made()
    before = draw(pipeline)
    load_adapters(pipeline, [adapter])
    use_adapter(pipeline, 0)
    adapted = draw(pipeline)
    place(pipeline, "cpu", offload)
    assert np.array_equal(draw(pipeline), adapted)
    unload_adapters(pipeline)
    assert np.array_equal(draw(pipeline), before)


def test_two_adapters_do_not_mix(adapter: Path, tmp_path: Path) -> None:
    """One file that adapts the UNet alone, beside one that adapts both parts; a fresh third."""
    state = {k: 2 * v for k, v in load_file(adapter / FILE_NAME).items() if k.startswith("unet.")}
    second = tmp_path / "second.v2.safetensors"
    save_file(state, second)
    alone, both = made(), made()
    before = predict(both)
    load_adapters(alone, [second])
    load_adapters(both, [adapter, second])
    predicted = []
    for number in (0, 1):
        use_adapter(both, number)
        predicted.append(predict(both))
    use_adapter(alone, 0)
    assert not torch.equal(*predicted)
    assert torch.equal(predicted[1], predict(alone))
    use_adapter(both, None)
    assert torch.equal(predict(both), before)


def test_what_is_no_adapter_is_refused(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing"):
        load_adapters(made(), [tmp_path / "nothing.safetensors"])
    state = load_file(adapter / FILE_NAME)
    foreign = {key.replace("unet.", "transformer."): value for key, value in state.items()}
    save_file(foreign, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="transformer"):
        load_adapters(made(), [tmp_path / "foreign.safetensors"])
    wider = {key: value.repeat(1, 2) for key, value in state.items()}
    save_file(wider, tmp_path / "wider.safetensors")
    with pytest.raises(CheckpointError, match="wider"):
        load_adapters(made(), [tmp_path / "wider.safetensors"])
