"""Which device and precision the model runs on, and what to call them in a job record."""

from typing import TYPE_CHECKING

import torch

from core.job import ModelInfo

if TYPE_CHECKING:
    from model.checkpoint import LoadedPipeline


def choose_device(setting: str) -> str:
    """`auto` is CUDA, then Apple's MPS, then the CPU; anything else is taken as it is."""
    if setting != "auto":
        return setting
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(setting: str, device: str) -> torch.dtype:
    """`auto` is float16 on CUDA and float32 elsewhere, where half precision is slow or incomplete."""
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


def reset_peak_memory() -> None:
    """Begin to measure a job's peak memory."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_bytes() -> int:
    """The most device memory that torch held since the last reset; 0 where the device does not tell."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
