"""Where each of our parameters lies in the published checkpoint.

ToonCrafter's official files name 2,655 tensors in one flat state dict (the sketch encoder has a
file of its own). Here each part of the pipeline says, for every tensor of its own `state_dict()`,
which published tensor it is, or which piece of one. Checkpoint conversion and the golden tests both
read this one table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Shape = tuple[int, ...]

SCHEDULE_BUFFERS = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)


@dataclass(frozen=True)
class Source:
    """The published tensor that one of our parameters is, or is a piece of.

    Attributes:
        name: full official name, such as `first_stage_model.encoder.conv_in.weight`.
        part, parts: ours is block `part` of the published tensor's rows cut into `parts` equal
            blocks (q, k and v of one projection, for example).
        trailing: axes of length 1 that the published tensor has after ours (a 1x1 convolution that
            is a linear layer here).
    """

    name: str
    part: int = 0
    parts: int = 1
    trailing: int = 0

    def published_shape(self, shape: Shape) -> Shape:
        """The published tensor's shape, given ours."""
        if self.parts == 1:
            return shape + (1,) * self.trailing
        return (shape[0] * self.parts, *shape[1:]) + (1,) * self.trailing

    def take(self, published: Tensor) -> Tensor:
        """Our parameter as a view of the published tensor."""
        if self.parts > 1:
            published = published.chunk(self.parts)[self.part]
        return published.flatten(published.ndim - 1 - self.trailing) if self.trailing else published


# takes a part, has one entry for every tensor of its state_dict()
Names = Callable[[Any], dict[str, Source]]


def published_shapes(module: nn.Module, names: Mapping[str, Source]) -> dict[str, Shape]:
    """Name and shape of every published tensor that `module` is made of."""
    return {
        names[ours].name: names[ours].published_shape(tuple(tensor.shape))
        for ours, tensor in module.state_dict().items()
    }


def from_published(
    module: nn.Module, names: Mapping[str, Source], read: Callable[[str, Shape], Tensor]
) -> dict[str, Tensor]:
    """A state dict for `module`; `read(name, shape)` fetches one published tensor."""
    state = {}
    for ours, tensor in module.state_dict().items():
        source = names[ours]
        state[ours] = source.take(read(source.name, source.published_shape(tuple(tensor.shape))))
    return state


def autoencoder(module: Any) -> dict[str, Source]:
    """`first_stage_model.`; only `post_quant_conv` is left out, which decoding with references
    never applies.
    """
    levels = len(module.config.block_out_channels)
    paths = {"quant_conv": "quant_conv"}
    for coder in ("encoder", "decoder"):
        paths[f"{coder}.conv_in"] = f"{coder}.conv_in"
        paths[f"{coder}.conv_out"] = f"{coder}.conv_out"
    paths |= {"encoder.conv_norm_out": "encoder.norm_out", "decoder.norm_out": "decoder.norm_out"}
    paths |= _middle("encoder.mid_block.resnets", "encoder.mid_block.attentions.0", "encoder")
    paths |= _middle("decoder.mid_resnets", "decoder.mid_attention", "decoder")
    for level in range(levels):
        paths[f"encoder.down_blocks.{level}.resnets"] = f"encoder.down.{level}.block"
        paths[f"encoder.down_blocks.{level}.downsamplers.0"] = f"encoder.down.{level}.downsample"
        # Our decoder counts from the deepest level, and enlarges at the start of a level instead of
        # the end.
        ours = f"decoder.up_blocks.{levels - 1 - level}"
        paths[f"{ours}.resnets"] = f"decoder.up.{level}.block"
        paths[f"{ours}.upsample"] = f"decoder.up.{level + 1}.upsample"
        paths[f"{ours}.fusion"] = f"decoder.attn_refinement.{level}"
        paths[f"{ours}.fusion.to_out"] = f"decoder.attn_refinement.{level}.to_out.0"
    paths["decoder.fusion_out"] = f"decoder.attn_refinement.{levels}"
    paths["decoder.time_conv_out"] = "decoder.conv_out.time_mix_conv"
    return {
        ours: Source(
            "first_stage_model." + _in_resnet(_renamed(ours, paths)),
            trailing=_autoencoder_trailing(ours),
        )
        for ours in module.state_dict()
    }


def _middle(resnets: str, attention: str, coder: str) -> dict[str, str]:
    published = {
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
    }
    return {
        f"{resnets}.0": f"{coder}.mid.block_1",
        f"{resnets}.1": f"{coder}.mid.block_2",
        **{
            f"{attention}.{ours}": f"{coder}.mid.attn_1.{theirs}"
            for ours, theirs in published.items()
        },
    }


def _in_resnet(name: str) -> str:
    """The names inside a residual block: `temporal.conv1` to `time_stack.in_layers.2`, and so
    on.
    """
    for ours, theirs in {
        ".spatial.": ".",
        ".temporal.mix_factor": ".mix_factor",
        ".temporal.norm1.": ".time_stack.in_layers.0.",
        ".temporal.conv1.": ".time_stack.in_layers.2.",
        ".temporal.norm2.": ".time_stack.out_layers.0.",
        ".temporal.conv2.": ".time_stack.out_layers.3.",
        ".conv_shortcut.": ".nin_shortcut.",
    }.items():
        name = name.replace(ours, theirs)
    return name


def _autoencoder_trailing(ours: str) -> int:
    """The middle attention's 1x1 convolutions are linear here, convolutions over time have no axis
    for the width.
    """
    if not ours.endswith(".weight"):
        return 0
    if re.search(r"\.(mid_attention|attentions\.0)\.to_", ours):
        return 2
    return 1 if re.search(r"\.temporal\.conv|\.time_conv_out", ours) else 0


def _renamed(name: str, paths: Mapping[str, str]) -> str:
    """`name` with its longest beginning that is a key of `paths` replaced."""
    pieces = name.split(".")
    for count in range(len(pieces), 0, -1):
        path = ".".join(pieces[:count])
        if path in paths:
            return ".".join([paths[path], *pieces[count:]])
    raise KeyError(f"no published name is known for {name}")


def text_encoder(module: nn.Module) -> dict[str, Source]:
    """`cond_stage_model.model.`, transformers' `CLIPTextModel`; the published last layer is left
    out.
    """
    paths = {
        "embeddings.token_embedding": "token_embedding",
        "embeddings.position_embedding.weight": "positional_embedding",
        "encoder.layers": "transformer.resblocks",
        "final_layer_norm": "ln_final",
    }
    return {ours: _clip("cond_stage_model.model.", ours, paths) for ours in module.state_dict()}


def image_encoder(module: nn.Module) -> dict[str, Source]:
    """`embedder.model.visual.`, transformers' `CLIPVisionModel`; the text tower beside it is left
    out.
    """
    paths = {
        "embeddings.class_embedding": "class_embedding",
        "embeddings.patch_embedding": "conv1",
        "embeddings.position_embedding.weight": "positional_embedding",
        "pre_layrnorm": "ln_pre",
        "encoder.layers": "transformer.resblocks",
        "post_layernorm": "ln_post",
    }
    return {ours: _clip("embedder.model.visual.", ours, paths) for ours in module.state_dict()}


def _clip(prefix: str, ours: str, paths: Mapping[str, str]) -> Source:
    name = prefix + _renamed(ours, paths)
    for inside, theirs in {
        ".self_attn.out_proj.": ".attn.out_proj.",
        ".layer_norm1.": ".ln_1.",
        ".layer_norm2.": ".ln_2.",
        ".mlp.fc1.": ".mlp.c_fc.",
        ".mlp.fc2.": ".mlp.c_proj.",
    }.items():
        name = name.replace(inside, theirs)
    if match := re.search(r"\.self_attn\.([qkv])_proj\.", name):
        joined = name.replace(match[0], ".attn.in_proj_")
        return Source(joined, part="qkv".index(match[1]), parts=3)
    return Source(name)


def never_read(text: Any, image: Any, vae: Any) -> dict[str, Shape]:
    """Published tensors that no part is made of, with their shapes.

    The schedule is computed, decoding skips a convolution, the last text layer is not run, and
    beside the vision tower lies a second text encoder without layers.
    """
    text_shapes = published_shapes(text, text_encoder(text))
    layer = ".resblocks.0."
    last = f".resblocks.{text.config.num_hidden_layers}."
    shapes = {
        name.replace(layer, last): shape for name, shape in text_shapes.items() if layer in name
    }
    width, latents = text.config.hidden_size, vae.config.latent_channels
    heads: dict[str, Shape] = {"text_projection": (width, width), "logit_scale": ()}
    for name, shape in heads.items():
        shapes[f"cond_stage_model.model.{name}"] = shapes[f"embedder.model.{name}"] = shape
    for name, shape in text_shapes.items():
        if ".resblocks." not in name:
            shapes[name.replace("cond_stage_model.", "embedder.")] = shape
    shapes["embedder.model.visual.proj"] = (image.config.hidden_size, width)
    shapes["first_stage_model.post_quant_conv.weight"] = (latents, latents, 1, 1)
    shapes["first_stage_model.post_quant_conv.bias"] = (latents,)
    return shapes | dict.fromkeys(SCHEDULE_BUFFERS, (1000,)) | {"scale_arr": (1400,)}
