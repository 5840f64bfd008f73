"""Weights of the smallest model, under the names of the published file."""

import pytest

from model.presets import TINY
from testkit.model.published_layout import Tensors, layout, recipe
from worker.gpu.cpu import hold_freed_memory


@pytest.fixture(scope="module")
def published() -> Tensors:
    """The state dict that all tests of a file read."""
    return recipe(layout(TINY)[0])


@pytest.fixture(scope="session", autouse=True)
def _fast_allocation() -> None:
    """As in a worker: tiny networks run ten times as fast."""
    hold_freed_memory()
