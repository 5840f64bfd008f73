"""Which device and precision a worker takes."""

import pytest
import torch

from worker.device import choose_device, choose_dtype


@pytest.mark.parametrize("setting", ["cpu", "cuda:1", "mps"])
def test_named_device_is_taken(setting: str) -> None:
    """Also one that is missing here: the load then fails, instead of a silent change to the CPU."""
    assert choose_device(setting) == setting


@pytest.mark.parametrize(
    ("setting", "device", "dtype"),
    [
        ("auto", "cuda:1", torch.float16),
        ("auto", "cpu", torch.float32),
        ("bfloat16", "cpu", torch.bfloat16),
        ("float32", "cuda", torch.float32),
    ],
)
def test_precision(setting: str, device: str, dtype: torch.dtype) -> None:
    """Half where a GPU is fast at it, else whole; a named one always."""
    assert choose_dtype(setting, device) is dtype
