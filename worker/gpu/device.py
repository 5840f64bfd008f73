"""Which device and precision the model runs on, and what to call them in a job record."""

from typing import TYPE_CHECKING

import torch

from core.records.worker import ModelInfo

if TYPE_CHECKING:
    from model.checkpoint import LoadedPipeline

# 8 times the sum of 0 to 63, exact in every precision that a product of matrices is done in
SELF_TEST_SUM = 16128.0


def choose_device(setting: str) -> str:
    """`auto` is CUDA, then Apple's MPS, then the CPU; anything else is taken as it is."""
    if setting != "auto":
        return setting
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(setting: str, device: str) -> torch.dtype:
    """`auto` is float16 on CUDA and float32 elsewhere, where half precision is slow or
    incomplete.
    """
    if setting == "auto":
        return torch.float16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[setting]


def use_threads(count: int) -> None:
    """Let CPU kernels use so many threads; 0 leaves torch's own choice, all cores."""
    if count:
        torch.set_num_threads(count)


def describe(loaded: "LoadedPipeline", device: str) -> ModelInfo:
    """The model as job records name it."""
    return ModelInfo(
        name=loaded.name,
        trained=loaded.trained,
        weights=loaded.weights,
        dtype=str(loaded.pipeline.dtype).removeprefix("torch."),
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
    )


def gpu_uuid(device: str) -> str:
    """The card's own name, as the driver's tools write it; empty where the device is no NVIDIA
    card.
    """
    return (
        f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.startswith("cuda") else ""
    )


def require_working_device(device: str) -> None:
    """Let the device solve a small task whose result is known.

    Raises:
        RuntimeError: it does not answer, or answers wrongly. A CUDA context stays so after most of
            its errors.
    """
    numbers = torch.arange(64.0, device=device).reshape(8, 8)
    total = (numbers @ torch.ones(8, 8, device=device)).sum().item()
    if total != SELF_TEST_SUM:
        raise RuntimeError(f"{device} has to compute {SELF_TEST_SUM} but computed {total}")
