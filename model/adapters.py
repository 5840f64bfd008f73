"""Low-rank adapters (LoRA) of the UNet's spatial layers and the image projection.

A studio's style as a small file beside the weights, in diffusers' format: one safetensors file
whose keys begin with the name of the part.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY, LoraBaseMixin
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from model.published_file import CheckpointError

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline
    from model.resampler import ImageResampler
    from model.unet_tooncrafter import ToonCrafterUNet

FILE_NAME = "pytorch_lora_weights.safetensors"  # diffusers' own
# Attention within frames and to the context. Temporal layers stay as they are: they know how things
# move, which is the same in every style (ToonCrafter, section 3.2).
TARGETS = {
    "unet": r".*\.spatial\.transformer_blocks\.\d+\.attn[12]"
    r"\.(to_q|to_k|to_v|to_k_ip|to_v_ip|to_out\.0)",
    "image_projection": r".*\.(to_q|to_kv|to_k|to_v|to_out\.0|proj_in|proj_out)",
}


class Adapted(Protocol):
    """What has the parts that an adapter changes: a pipeline, or what is taught of it."""

    unet: "ToonCrafterUNet"
    image_projection: "ImageResampler"


def add_adapter(model: Adapted, rank: int) -> None:
    """Add an adapter that changes nothing yet; its weights alone require gradients."""
    for name, targets in TARGETS.items():
        part = getattr(model, name)
        part.requires_grad_(False)
        part.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets))


def save_adapter(model: Adapted, folder: Path) -> None:
    """Write the adapter that `add_adapter` made."""
    parts = {name: getattr(model, name) for name in TARGETS}
    LoraBaseMixin._save_lora_weights(
        folder,
        {name: get_peft_model_state_dict(part) for name, part in parts.items()},
        {name: _plain(part.peft_config["default"].to_dict()) for name, part in parts.items()},
        weight_name=FILE_NAME,
    )


def load_adapters(pipeline: "ToonCrafterPipeline", paths: Sequence[Path]) -> list[str]:
    """Load adapters, all of them switched off.

    Args:
        pipeline: whose weights are not placed yet.
        paths: files, or folders that hold one named `FILE_NAME`.

    Returns:
        A digest of each, `sha256:…`.

    Raises:
        CheckpointError: a file is missing or is no adapter of this model.
    """
    weights = [weight for name in TARGETS for weight in getattr(pipeline, name).parameters()]
    learning = [weight.requires_grad for weight in weights]
    with warnings.catch_warnings():  # peft warns of a second adapter, which is wanted here
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        digests = [_load(pipeline, path, number) for number, path in enumerate(paths)]
    for weight, before in zip(weights, learning, strict=True):
        weight.requires_grad_(before)  # on it depends how torch multiplies, and so the last bit
    use_adapter(pipeline, None)
    return digests


def _load(pipeline: "ToonCrafterPipeline", path: Path, number: int) -> str:
    """Load one adapter; return its digest."""
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with safe_open(file, "pt") as opened:
            text = (opened.metadata() or {}).get(LORA_ADAPTER_METADATA_KEY)
        state = {key: weight.to(pipeline.dtype) for key, weight in load_file(file).items()}
        if unknown := [key for key in state if key.split(".")[0] not in TARGETS]:
            raise CheckpointError(
                f"{path} has to adapt {' and '.join(TARGETS)} only but holds {unknown[0]}"
            )
        for name in {key.split(".")[0] for key in state}:
            getattr(pipeline, name).load_lora_adapter(
                state,
                prefix=name,
                adapter_name=_inner_name(number),
                metadata=json.loads(text) if text else None,
                low_cpu_mem_usage=True,  # takes the weights as they are, without initial ones
            )
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{path} has to be an adapter of this model: {error}") from error
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def use_adapter(pipeline: "ToonCrafterPipeline", number: int | None) -> None:
    """Switch to one of the loaded adapters, counted from 0; None switches all off."""
    for name in TARGETS:
        part = getattr(pipeline, name)
        loaded = getattr(part, "peft_config", {})
        if number is not None and _inner_name(number) in loaded:
            part.enable_lora()
            part.set_adapter(_inner_name(number))
        elif loaded:
            part.disable_lora()
    pipeline._empty_context = None  # an adapter changes the image projection


def unload_adapters(pipeline: "ToonCrafterPipeline") -> None:
    """Leave the model as it was before the first adapter."""
    for name in TARGETS:
        part = getattr(pipeline, name)
        if getattr(part, "peft_config", {}):
            part.unload_lora()
    pipeline._empty_context = None


def _inner_name(number: int) -> str:
    """Name an adapter for torch, whose module names hold no dots as file names may."""
    return f"adapter_{number}"


def _plain(config: dict[str, object]) -> dict[str, object]:
    """Return a configuration as JSON has it."""
    return {
        key: sorted(value) if isinstance(value, set) else value for key, value in config.items()
    }
