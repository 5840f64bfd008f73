"""What a file has to be before any of it is converted."""

from pathlib import Path

import pytest
import torch

from model.published_file import CheckpointError, check_names_and_shapes


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.float64])
def test_numbers_that_would_need_a_scale_are_refused_by_name(dtype: torch.dtype) -> None:
    """A quantised copy has the published names and shapes, and would convert to noise."""
    tensors = {"out.weight": torch.zeros(2, 3).to(dtype)}
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=f"out.weight has to be float32, float16 or bfloat16 but is {kind}"):
        check_names_and_shapes(Path("copy.safetensors"), tensors, {"out.weight": (2, 3)})
