"""Which device and precision a worker takes."""

import pytest
import torch

from worker.gpu.device import choose_device, choose_dtype, gpu_uuid, require_working_device


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


def test_working_device_solves_the_small_task() -> None:
    """Asked at the start of each child, and after each error without another explanation."""
    require_working_device("cpu")


def test_device_that_is_not_there_solves_nothing() -> None:
    """Nor does one whose context an error has left unusable."""
    with pytest.raises((RuntimeError, AssertionError)):
        require_working_device("cuda:99")


def test_only_an_nvidia_card_has_a_name_of_its_own() -> None:
    """By which the driver tells of its faults."""
    assert gpu_uuid("cpu") == ""
