"""Files with the published checkpoint's layout, at any size, filled with the golden recipe's
weights.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from model.assembly import build_modules
from model.conversion import NAMES, SKETCH_ENCODER
from model.presets import TINY, Preset
from model.published_names import from_published, never_read, published_shapes
from scripts import golden_recipe

Tensors = dict[str, Tensor]


def meta_parts(sizes: Preset) -> dict[str, Any]:
    """Every part without memory for its weights."""
    with torch.device("meta"):
        return dict(build_modules(sizes))


def layout(sizes: Preset) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Names and shapes of the main file and of the sketch encoder's."""
    parts = meta_parts(sizes)
    shapes = {name: published_shapes(part, NAMES[name](part)) for name, part in parts.items()}
    sketch = shapes.pop(SKETCH_ENCODER)
    main = {name: shape for part in shapes.values() for name, shape in part.items()}
    return main | never_read(parts["text_encoder"], parts["image_encoder"], parts["vae"]), sketch


def recipe(shapes: dict[str, tuple[int, ...]]) -> Tensors:
    """The golden recipe's value for every name."""
    return {
        name: torch.from_numpy(golden_recipe.weight(name, shape)).reshape(shape)
        for name, shape in shapes.items()
    }


def save_state_dict(path: Path, tensors: Tensors) -> None:
    """As the official model.ckpt is laid out."""
    torch.save({"state_dict": tensors}, path)


def save_sharded(path: Path, tensors: Tensors) -> None:
    """As a sharded training run saves: another key, a prefix of 16 characters."""
    torch.save(
        {"module": {"_forward_module." + name: tensor for name, tensor in tensors.items()}}, path
    )


def save_half_safetensors(path: Path, tensors: Tensors) -> None:
    """As the half-precision copies are laid out."""
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, path)


def expected_state(name: str, part: Any, tensors: Tensors) -> Tensors:
    """What a part has to hold after conversion, in float32."""
    state = from_published(part, NAMES[name](part), lambda published, shape: tensors[published])
    return {ours: tensor.half().float() for ours, tensor in state.items()}


LARGER = replace(TINY, unet={**TINY.unet, "block_out_channels": (64, 192, 384, 384)})
