"""Choose device and precision of the model, and name them for the job record."""

from typing import TYPE_CHECKING

import torch

from core.records.offer import DESCRIPTIONS, EXPERIMENTAL, EXPERIMENTAL_DESCRIPTION, Engine
from core.records.worker import ModelInfo

if TYPE_CHECKING:
    from model.checkpoint import LoadedPipeline

# 8 times the sum of 0 to 63, exact in every precision of a matrix product.
SELF_TEST_SUM = 16128.0


def choose_device(setting: str) -> str:
    """Return the device to use: for `auto` CUDA, then Apple's MPS, then the CPU."""
    if setting != "auto":
        return setting
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(setting: str, device: str) -> torch.dtype:
    """Return the precision: for `auto` float16 on CUDA, else float32, as half is slow there."""
    if setting == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[setting]


def describe(loaded: "LoadedPipeline", device: str) -> ModelInfo:
    """Describe the model as job records show it."""
    return ModelInfo(
        name=loaded.name,
        trained=loaded.trained,
        weights=loaded.weights,
        dtype=str(loaded.pipeline.dtype).removeprefix("torch."),
        device=name_of_device(device),
        description=EXPERIMENTAL_DESCRIPTION
        if loaded.name == EXPERIMENTAL
        else DESCRIPTIONS[Engine.TOONCRAFTER],
    )


def name_of_device(device: str) -> str:
    """Return what a device is called in a job record: a card by its name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def gpu_uuid(device: str) -> str:
    """Return the card's UUID as the driver's tools write it; empty unless it is an NVIDIA card."""
    return (
        f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.startswith("cuda") else ""
    )


def require_working_device(device: str) -> None:
    """Check that the device computes a small known result.

    Raises:
        RuntimeError: it fails or returns another number. A CUDA context stays unusable after most
            of its errors.
    """
    numbers = torch.arange(64.0, device=device).reshape(8, 8)
    total = (numbers @ torch.ones(8, 8, device=device)).sum().item()
    if total != SELF_TEST_SUM:
        raise RuntimeError(f"{device} has to compute {SELF_TEST_SUM} but computed {total}")
