"""Weights of the smallest model, under the names of the published file."""

import pytest

from model.presets import TINY
from testkit.model.published_layout import Tensors, layout, recipe


@pytest.fixture(scope="module")
def published() -> Tensors:
    """The state dict that all tests of a file read."""
    return recipe(layout(TINY)[0])
