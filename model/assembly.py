"""A pipeline's parts from a preset, with random weights."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.clip import clip_tokenizer, text_tower, vision_tower
from model.presets import PRESETS, Preset
from model.resampler import ImageResampler
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet


def build_components(preset: str, seed: int) -> dict[str, Any]:
    """Every component of the pipeline at a preset's sizes.

    Args:
        preset: a name in `PRESETS`.
        seed: of the weights.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"the preset has to be one of {', '.join(PRESETS)} but is {preset!r}")
    modules = build_modules(PRESETS[preset])
    generator = torch.Generator().manual_seed(seed)
    for module in modules.values():
        randomise(module, generator)
        module.eval()
    return {**modules, "tokenizer": clip_tokenizer(), "scheduler": DDIMRescaledScheduler()}


def build_modules(sizes: Preset) -> dict[str, nn.Module]:
    """Every part that has weights, by the name of its component, as its class initialises it."""
    return {
        "vae": AutoencoderKLDualRef(**sizes.vae),
        "text_encoder": text_tower(**sizes.text_encoder),
        "image_encoder": vision_tower(**sizes.image_encoder),
        "image_projection": ImageResampler(**sizes.image_projection),
        "unet": ToonCrafterUNet(**sizes.unet),
        "sketch_encoder": SketchEncoder(**sizes.sketch_encoder),
    }


@torch.no_grad()
def randomise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every parameter random values that keep activations near unit size.

    The classes' own initial values will not do: layers that training starts at zero would silence
    whole branches.
    """
    for name, parameter in module.named_parameters():
        parameter.copy_(_random_like(parameter, name, generator))


def _random_like(parameter: Tensor, name: str, generator: torch.Generator) -> Tensor:
    values = torch.randn(parameter.shape, generator=generator, device=generator.device)
    if name.endswith(("latents", "embedding.weight", "class_embedding")):  # tables, not matrices
        return 0.5 * values
    if parameter.ndim >= 2:
        return values / math.sqrt(parameter[0].numel())
    return 0.1 * values + (1.0 if name.endswith("weight") else 0.0)
