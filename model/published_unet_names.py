"""Where the UNet's, the image projection's and the sketch encoder's parameters lie in the published
files.

The published UNet numbers its blocks flat, each a list of children: residual block, spatial
transformer, temporal transformer, resampling. The table here walks our levels and counts along.
`temopral_conv` is how the file spells it.
"""

from collections.abc import Iterator
from typing import Any

from model.published_names import Source

UNET = "model.diffusion_model."
IMAGE_PROJECTION = "image_proj_model."

Prefixes = dict[str, str]  # ours to published, each ending in a dot

RESNET: Prefixes = {
    "norm1.": "in_layers.0.",
    "conv1.": "in_layers.2.",
    "time_emb_proj.": "emb_layers.1.",
    "norm2.": "out_layers.0.",
    "conv2.": "out_layers.3.",
    "conv_shortcut.": "skip_connection.",
}
TEMPORAL_CONVOLUTION: Prefixes = {
    "stages.0.0.": "conv1.0.",
    "stages.0.2.": "conv1.2.",  # the later stages have a dropout before the convolution
    **{f"stages.{stage}.0.": f"conv{stage + 1}.0." for stage in (1, 2, 3)},
    **{f"stages.{stage}.2.": f"conv{stage + 1}.3." for stage in (1, 2, 3)},
}
RESIDUAL_BLOCK: Prefixes = {
    **{f"spatial.{ours}": published for ours, published in RESNET.items()},
    **{
        f"temporal.{ours}": f"temopral_conv.{published}"
        for ours, published in TEMPORAL_CONVOLUTION.items()
    },
}


def unet(model: Any) -> dict[str, Source]:
    """Sources of a `ToonCrafterUNet`'s tensors."""
    prefixes = {
        "embedding.timestep.linear_1.": "time_embed.0.",
        "embedding.timestep.linear_2.": "time_embed.2.",
        "embedding.frame_stride.linear_1.": "fps_embedding.0.",
        "embedding.frame_stride.linear_2.": "fps_embedding.2.",
        "conv_in.": "input_blocks.0.0.",
        "init_attention.": "init_attn.0.",
        **_layer("middle_block.layer.", "middle_block."),
        **_under("middle_block.residual.", "middle_block.3.", RESIDUAL_BLOCK),
        "norm_out.": "out.0.",
        "conv_out.": "out.2.",
    }
    per_level = model.config.layers_per_block
    attention = model.config.attention_levels
    for level, layer, block in _input_blocks(len(attention), per_level):
        if layer is None:
            prefixes[f"down_blocks.{level}.downsampler.conv."] = f"input_blocks.{block}.0.op."
        else:
            prefixes |= _layer(f"down_blocks.{level}.layers.{layer}.", f"input_blocks.{block}.")
    for level, has_attention in enumerate(reversed(attention)):
        first = level * (per_level + 1)
        for layer in range(per_level + 1):
            prefixes |= _layer(
                f"up_blocks.{level}.layers.{layer}.", f"output_blocks.{first + layer}."
            )
        child = 3 if has_attention else 1
        prefixes[f"up_blocks.{level}.upsampler.conv."] = (
            f"output_blocks.{first + per_level}.{child}.conv."
        )

    def trailing(ours: str) -> int:
        """Convolutions along time have one axis less here; those of `init_attn` that are linear,
        too.
        """
        along_time = ".temporal.stages." in ours and ours.endswith(".2.weight")
        return int(
            along_time
            or ours in ("init_attention.proj_in.weight", "init_attention.proj_out.weight")
        )

    return {
        ours: Source(UNET + _translate(ours, prefixes), trailing=trailing(ours))
        for ours in model.state_dict()
    }


def image_projection(model: Any) -> dict[str, Source]:
    """Sources of an `ImageResampler`'s tensors."""
    prefixes = {
        f"projection.{name}": name for name in ("latents", "proj_in.", "proj_out.", "norm_out.")
    }
    key_values = {}
    for index in range(model.config.depth):
        ours, published = f"projection.layers.{index}.", f"layers.{index}."
        prefixes |= {
            f"{ours}ln0.": f"{published}0.norm1.",
            f"{ours}ln1.": f"{published}0.norm2.",
            f"{ours}attn.to_q.": f"{published}0.to_q.",
            f"{ours}attn.to_out.0.": f"{published}0.to_out.",
            f"{ours}ff.0.": f"{published}1.0.",
            f"{ours}ff.1.net.0.proj.": f"{published}1.1.",
            f"{ours}ff.1.net.2.": f"{published}1.3.",
        }
        both = f"{IMAGE_PROJECTION}{published}0.to_kv.weight"
        key_values[f"{ours}attn.to_k.weight"] = Source(both, part=0, parts=2)
        key_values[f"{ours}attn.to_v.weight"] = Source(both, part=1, parts=2)
    return {
        ours: key_values.get(ours) or Source(IMAGE_PROJECTION + _translate(ours, prefixes))
        for ours in model.state_dict()
    }


def sketch_encoder(model: Any) -> dict[str, Source]:
    """Sources of a `SketchEncoder`'s tensors; its published file has no prefix."""
    # between the first and the last of the hint's
    convolutions = 2 * len(model.config.hint_channels) - 2
    prefixes = {
        "network.time_embedding.linear_1.": "time_embed.0.",
        "network.time_embedding.linear_2.": "time_embed.2.",
        "network.conv_in.": "input_blocks.0.0.",
        "hint_embedding.conv_in.": "input_hint_block.0.",
        **{
            f"hint_embedding.blocks.{i}.": f"input_hint_block.{2 * i + 2}."
            for i in range(convolutions)
        },
        "hint_embedding.conv_out.": f"input_hint_block.{2 * convolutions + 2}.",
        **_under("network.mid_block.resnets.0.", "middle_block.0.", RESNET),
        "network.mid_block.attentions.0.": "middle_block.1.",
        **_under("network.mid_block.resnets.1.", "middle_block.2.", RESNET),
        "network.controlnet_down_blocks.0.": "zero_convs.0.0.",
        "network.controlnet_mid_block.": "middle_block_out.0.",
    }
    for level, layer, block in _input_blocks(
        len(model.config.attention_levels), model.config.layers_per_block
    ):
        ours, published = f"network.down_blocks.{level}.", f"input_blocks.{block}."
        prefixes[f"network.controlnet_down_blocks.{block}."] = f"zero_convs.{block}.0."
        if layer is None:
            prefixes[f"{ours}downsamplers.0.conv."] = f"{published}0.op."
        else:
            prefixes |= _under(f"{ours}resnets.{layer}.", f"{published}0.", RESNET)
            prefixes[f"{ours}attentions.{layer}."] = f"{published}1."
    return {ours: Source(_translate(ours, prefixes)) for ours in model.state_dict()}


def _input_blocks(levels: int, per_level: int) -> Iterator[tuple[int, int | None, int]]:
    """Each published input block after the first: its level, its layer (none for a step down) and
    its number.
    """
    block = 1
    for level in range(levels):
        for layer in [*range(per_level), *([] if level == levels - 1 else [None])]:
            yield level, layer, block
            block += 1


def _layer(ours: str, published: str) -> Prefixes:
    return {
        **_under(f"{ours}residual.", f"{published}0.", RESIDUAL_BLOCK),
        f"{ours}spatial.": f"{published}1.",
        f"{ours}temporal.": f"{published}2.",
    }


def _under(ours: str, published: str, prefixes: Prefixes) -> Prefixes:
    return {ours + inner: published + name for inner, name in prefixes.items()}


def _translate(ours: str, prefixes: Prefixes) -> str:
    for prefix, published in prefixes.items():
        if ours.startswith(prefix):
            return published + ours.removeprefix(prefix)
    raise KeyError(f"{ours} belongs to no part of the published file")
