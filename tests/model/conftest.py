"""Weights of the smallest model, under the names of the published file."""

from pathlib import Path

import pytest
import torch

from model.adapters import add_adapter, save_adapter
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.presets import TINY
from testkit.model.published_layout import Tensors, layout, recipe
from worker.gpu.cpu import hold_freed_memory


@pytest.fixture(scope="module")
def published() -> Tensors:
    """The state dict that all tests of a file read."""
    return recipe(layout(TINY)[0])


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of tiny whose weights are random instead of taught."""
    folder = tmp_path_factory.mktemp("ink")
    pipeline = ToonCrafterPipeline.from_preset("tiny", seed=0)
    add_adapter(pipeline, rank=2)
    torch.manual_seed(1)
    for part in (pipeline.unet, pipeline.image_projection):
        for name, parameter in part.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter)
    save_adapter(pipeline, folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _fast_allocation() -> None:
    """As in a worker: tiny networks run ten times as fast."""
    hold_freed_memory()
