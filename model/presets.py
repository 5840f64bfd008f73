"""The sizes of all parts: the published model's, and a tiny one of the same structure."""

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True)
class Preset:
    """Keyword arguments for the constructor of each part."""

    unet: Config
    vae: Config
    image_projection: Config
    text_encoder: Config
    image_encoder: Config
    sketch_encoder: Config


# The published weights: the defaults of every class.
TOONCRAFTER_512 = Preset(
    unet={}, vae={}, image_projection={}, text_encoder={}, image_encoder={}, sketch_encoder={}
)

# For tests and machines without a GPU: every kind of block, at widths that let two CPU cores sample
# a 16-frame clip of 512x320 in seconds. Attention over all pixels costs the square of their number
# whatever the widths are, so it starts lower than in the published model: at a quarter of the
# latents' resolution, and in the decoder at the latents' own.
TINY = Preset(
    unet={
        "block_out_channels": (8, 16, 32, 32),
        "layers_per_block": 1,
        "attention_levels": (False, False, True, False),
        "attention_head_dim": 16,
        "init_attention_heads": 1,
        "cross_attention_dim": 32,
        "norm_num_groups": 4,
    },
    vae={
        "block_out_channels": (8, 16, 16, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "reference_attention_levels": (3,),
        "reference_heads": 1,
        "reference_head_dim": 16,
    },
    image_projection={
        "embedding_channels": 32,
        "hidden_channels": 32,
        "output_channels": 32,
        "depth": 1,
        "heads": 2,
        "head_dim": 16,
    },
    text_encoder={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    image_encoder={
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    },
    sketch_encoder={
        "block_out_channels": (8, 16, 32, 32),
        "layers_per_block": 1,
        "attention_levels": (False, False, True, False),
        "attention_head_dim": 16,
        "cross_attention_dim": 32,
        "hint_channels": (4, 8, 8, 8),
        "norm_num_groups": 4,
    },
)

PRESETS = {"tooncrafter-512": TOONCRAFTER_512, "tiny": TINY}
