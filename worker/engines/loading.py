"""Load a worker's model and wrap it into its engine."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from core.records.offer import DESCRIPTIONS, NAMES, PREVIEW, TINY, Engine, Offer, adapter_name
from core.records.worker import ModelInfo
from core.settings import Settings
from core.shots.canvas import parse_canvas
from worker.engines.engine import Engine as LoadedModel
from worker.frames.framing import Pixels
from worker.gpu.canvas_memory import SKETCH_ENCODER
from worker.gpu.device import choose_dtype, describe, name_of_device

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline
    from worker.engines.preview import PreviewEngine

WEIGHTS = "diffusion_pytorch_model.safetensors"


class LoadedEngine(NamedTuple):
    """An engine that is ready to draw, and what its model and the model's adapters are."""

    engine: LoadedModel
    model: ModelInfo
    adapters: tuple[ModelInfo, ...] = ()


def offer_of(model: str, adapters: Sequence[Path] = ()) -> Offer:
    """Return what a worker with these settings offers, by what its model's folder holds."""
    offer, folder = Offer.of_setting(model, adapters), Path(model)
    if model in NAMES or not folder.is_dir():
        return offer
    return offer.model_copy(update={"sketches": (folder / SKETCH_ENCODER).is_dir()})


def load_engine(settings: Settings, device: str) -> LoadedEngine:
    """Load the model that the settings name onto a device.

    Raises:
        CheckpointError: nothing is there, or it is no model.
    """
    if settings.model == PREVIEW:
        return _load_preview(device)
    return _load_tooncrafter(settings, device)


def _load_preview(device: str) -> LoadedEngine:
    engine = _preview_engine(device)
    weights = (_preview_weights() / WEIGHTS).read_bytes()
    model = ModelInfo(
        name=PREVIEW,
        trained=True,
        weights=f"sha256:{hashlib.sha256(weights).hexdigest()}",
        dtype="float32",
        device=name_of_device(device),
        engine=Engine.PREVIEW,
        description=DESCRIPTIONS[Engine.PREVIEW],
    )
    return LoadedEngine(engine, model)


def _preview_engine(device: str) -> "PreviewEngine":
    import torch

    from model.preview import PreviewFlowModel
    from worker.engines.preview import PreviewEngine

    # Float32 on every device: half would gain milliseconds.
    network = PreviewFlowModel.from_pretrained(_preview_weights(), torch_dtype=torch.float32)
    return PreviewEngine(network.eval().to(device), device)


def _preview_weights() -> Path:
    from model import preview

    return Path(preview.__file__).parent / "weights"


def _load_tooncrafter(settings: Settings, device: str) -> LoadedEngine:
    from model.checkpoint import load_pipeline
    from worker.engines.tooncrafter import ToonCrafterEngine
    from worker.gpu.canvas_memory import plan_memory
    from worker.gpu.memory import DeviceMemory
    from worker.gpu.placement import compile_and_warm_up, device_of_weights, place

    _require_names_of_adapters(settings)
    loaded = load_pipeline(
        settings.model or TINY,
        device=device_of_weights(device, settings.offload),
        dtype=choose_dtype(settings.dtype, device),
        cache_dir=settings.model_cache or settings.state_dir / "models",
    )
    in_turns = plan_memory(settings, device).guidance_in_turns
    model = describe(loaded, device).model_copy(
        update={"guidance_in_turns": in_turns, "compiled": settings.compile}
    )
    adapters = _load_adapters(loaded.pipeline, settings.adapters, model)
    place(loaded.pipeline, device, settings.offload)
    loaded.pipeline.guidance_in_turns = in_turns
    if settings.compile:
        canvases = [parse_canvas(canvas) for canvas in settings.warm_canvases]
        compile_and_warm_up(loaded.pipeline, canvases)
    memory = DeviceMemory(loaded.pipeline, device, settings.offload)
    names = [adapter.name for adapter in adapters]
    return LoadedEngine(ToonCrafterEngine(loaded.pipeline, memory, names), model, adapters)


def _require_names_of_adapters(settings: Settings) -> None:
    """Check that each adapter can be a model of its own.

    Raises:
        CheckpointError: two names are the same, or one has a comma; or the model is to be
            compiled, which joins the layers that adapters change.
    """
    if not settings.adapters:
        return
    from model.published_file import CheckpointError

    if settings.compile:
        raise CheckpointError("TOONCRAFTER_ADAPTERS cannot be used with TOONCRAFTER_COMPILE")
    names = [Path(settings.model or TINY).name, *map(adapter_name, settings.adapters)]
    if bad := [name for name in names[1:] if names.count(name) > 1 or "," in name]:
        raise CheckpointError(
            f"adapters have to have names of their own, without commas, but one is {bad[0]}"
        )


def _load_adapters(
    pipeline: "ToonCrafterPipeline", paths: Sequence[Path], model: ModelInfo
) -> tuple[ModelInfo, ...]:
    """Load the adapters of a model, and describe each as a model of its own."""
    if not paths:
        return ()
    from model.adapters import load_adapters

    def adapted(path: Path, digest: str) -> ModelInfo:
        both = hashlib.sha256(f"{model.weights} {digest}".encode()).hexdigest()
        name = adapter_name(path)
        words = f"{model.description}, adapted by {name}"
        changes = {"name": name, "weights": f"sha256:{both}", "description": words}
        return model.model_copy(update=changes)

    return tuple(map(adapted, paths, load_adapters(pipeline, paths)))


class HalfwayDrawer:
    """Draws new pictures for films of twice the rate, whatever engine drew the others.

    The preview engine is loaded for the first one.

    Args:
        device: as torch names it.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._preview: PreviewEngine | None = None

    def __call__(self, first: Pixels, last: Pixels) -> Pixels:
        """Draw what is halfway between two pictures of one shape."""
        if self._preview is None:
            self._preview = _preview_engine(self._device)
        (drawn,) = self._preview.between(first, last, [Fraction(1, 2)])
        return drawn
