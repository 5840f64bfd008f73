"""Load a worker's model and wrap it into its engine."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from core.records.offer import DESCRIPTIONS, PREVIEW, TINY, Engine
from core.records.worker import ModelInfo
from core.settings import Settings
from core.shots.canvas import parse_canvas
from worker.engines.engine import Engine as LoadedModel
from worker.gpu.device import choose_dtype, describe, name_of_device


class LoadedEngine(NamedTuple):
    """An engine that is ready to draw, and what its model is."""

    engine: LoadedModel
    model: ModelInfo


def load_engine(settings: Settings, device: str) -> LoadedEngine:
    """Load the model that the settings name onto a device.

    Raises:
        CheckpointError: nothing is there, or it is no model.
    """
    if settings.model == PREVIEW:
        return _load_preview(device)
    return _load_tooncrafter(settings, device)


def _load_preview(device: str) -> LoadedEngine:
    import torch

    from model import preview
    from worker.engines.preview import PreviewEngine

    folder = Path(preview.__file__).parent / "weights"
    # Float32 on every device: half would gain milliseconds.
    network = preview.PreviewFlowModel.from_pretrained(folder, torch_dtype=torch.float32)
    network.eval().to(device)
    weights = folder / "diffusion_pytorch_model.safetensors"
    model = ModelInfo(
        name=PREVIEW,
        trained=True,
        weights=f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()}",
        dtype="float32",
        device=name_of_device(device),
        engine=Engine.PREVIEW,
        description=DESCRIPTIONS[Engine.PREVIEW],
    )
    return LoadedEngine(PreviewEngine(network, device), model)


def _load_tooncrafter(settings: Settings, device: str) -> LoadedEngine:
    from model.checkpoint import load_pipeline
    from worker.engines.tooncrafter import ToonCrafterEngine
    from worker.gpu.memory import DeviceMemory
    from worker.gpu.placement import compile_and_warm_up, device_of_weights, place

    loaded = load_pipeline(
        settings.model or TINY,
        device=device_of_weights(device, settings.offload),
        dtype=choose_dtype(settings.dtype, device),
        cache_dir=settings.model_cache or settings.state_dir / "models",
    )
    place(loaded.pipeline, device, settings.offload)
    if settings.compile:
        canvases = [parse_canvas(canvas) for canvas in settings.warm_canvases]
        compile_and_warm_up(loaded.pipeline, canvases)
    memory = DeviceMemory(loaded.pipeline, device, settings.offload)
    return LoadedEngine(ToonCrafterEngine(loaded.pipeline, memory), describe(loaded, device))
