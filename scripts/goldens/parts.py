"""The model's parts at a golden folder's configuration, with the weights that its recipe gives each
published name.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPVisionModel

from model import published_names, published_unet_names
from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.clip import text_tower, vision_tower
from model.resampler import ImageResampler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet
from scripts import golden_recipe

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Parts:
    """Builds each part once, when a case first asks for it."""

    config: dict[str, Any]
    seed: int

    @cached_property
    def unet(self) -> ToonCrafterUNet:
        """The denoising network."""
        config = self.config["unet"]
        return self._filled(
            ToonCrafterUNet(
                block_out_channels=_widths(config),
                layers_per_block=config["num_res_blocks"],
                attention_levels=_attention_levels(config),
                attention_head_dim=config["num_head_channels"],
                cross_attention_dim=config["context_dim"],
            ),
            published_unet_names.unet,
        )

    @cached_property
    def image_projection(self) -> ImageResampler:
        """The image encoder's tokens to the context."""
        config = self.config["resampler"]
        return self._filled(
            ImageResampler(
                embedding_channels=config["embedding_dim"],
                hidden_channels=config["dim"],
                output_channels=config["output_dim"],
                depth=config["depth"],
                heads=config["heads"],
                head_dim=config["dim_head"],
                num_frames=config["video_length"],
                tokens_per_frame=config["num_queries"],
                feed_forward_ratio=config["ff_mult"],
            ),
            published_unet_names.image_projection,
        )

    @cached_property
    def sketch_encoder(self) -> SketchEncoder:
        """The ControlNet over line drawings."""
        config = self.config["sketch"]
        return self._filled(
            SketchEncoder(
                block_out_channels=_widths(config),
                layers_per_block=config.get(
                    "num_res_blocks", self.config["unet"]["num_res_blocks"]
                ),
                attention_levels=_attention_levels(config),
                attention_head_dim=config["num_head_channels"],
                cross_attention_dim=config["context_dim"],
            ),
            published_unet_names.sketch_encoder,
        )

    @cached_property
    def autoencoder(self) -> AutoencoderKLDualRef:
        """Encoder and dual-reference decoder."""
        sizes = self.config["vae"]
        module = AutoencoderKLDualRef(
            block_out_channels=tuple(sizes["ch"] * factor for factor in sizes["ch_mult"]),
            layers_per_block=sizes["num_res_blocks"],
        )
        return self._filled(module, published_names.autoencoder)

    @cached_property
    def text_encoder(self) -> CLIPTextModel:
        """The text tower, without the layer that is not run."""
        config = self.config["clip"]["text_cfg"]
        module = text_tower(config["width"], config["layers"] - 1, config["heads"])
        return self._filled(module, published_names.text_encoder)

    @cached_property
    def image_encoder(self) -> CLIPVisionModel:
        """The vision tower."""
        config = self.config["clip"]["vision_cfg"]
        heads = config["width"] // config["head_width"]
        module = vision_tower(
            config["width"], config["layers"], heads, config["image_size"], config["patch_size"]
        )
        return self._filled(module, published_names.image_encoder)

    def _filled(self, module: Module, names: published_names.Names) -> Module:
        """Give every tensor of `module` the recipe's value for its published name."""

        def read(name: str, shape: tuple[int, ...]) -> Tensor:
            return torch.from_numpy(golden_recipe.weight(name, shape, self.seed))

        module.load_state_dict(published_names.from_published(module, names(module), read))
        return module.eval().to(torch.get_default_device())


def _widths(config: dict[str, Any]) -> tuple[int, ...]:
    return tuple(config["model_channels"] * multiplier for multiplier in config["channel_mult"])


def _attention_levels(config: dict[str, Any]) -> tuple[bool, ...]:
    """Transformers stand where the latents are downsampled by 1, 2 and 4."""
    return tuple(2**level in (1, 2, 4) for level in range(len(config["channel_mult"])))
