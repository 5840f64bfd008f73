"""Answers of the UNet, its blocks, the image projection and the sketch encoder."""

import torch
from torch import Tensor, nn

from model.unet_tooncrafter import ToonCrafterUNet
from scripts.goldens.registry import Case, golden


@golden("resampler")
def resampler(case: Case) -> dict[str, Tensor]:
    """Tokens of two pictures to their contexts."""
    return {"out": case.parts.image_projection(case.input("resampler_in"))}


@golden("time_embed")
def time_embed(case: Case) -> dict[str, Tensor]:
    """Sinusoids of two widths, both embeddings and their sum."""
    embedding = case.parts.unet.embedding
    timestep, frame_stride = torch.tensor(case["mlp_timesteps"]), torch.tensor(case["fs"])
    sinusoid = embedding.sinusoid
    published = type(sinusoid)(320, flip_sin_to_cos=True, downscale_freq_shift=0)
    return {
        "sin320": published(torch.tensor(case["timesteps"])),
        "sin_small": sinusoid(torch.tensor(case["timesteps"])),
        "time": embedding.timestep(sinusoid(timestep)),
        "fps": embedding.frame_stride(sinusoid(frame_stride)),
        "total": embedding(timestep, frame_stride),
    }


@golden("unet_blocks")
def unet_blocks(case: Case) -> dict[str, Tensor]:
    """Each kind of block in isolation, on one clip of frames."""
    unet = case.parts.unet
    layer = unet.down_blocks[1].layers[0]
    narrow, wide = case.input("blk_x0"), case.input("blk_x1")
    num_frames = narrow.shape[0]
    return {
        "resblock": layer.residual(narrow, case.input("blk_emb"), num_frames),
        "spatial": layer.spatial(
            wide, frame_context(layer.spatial, unet, case.input("blk_ctx")), num_frames=1
        ),
        "temporal": layer.temporal(wide, num_frames),
        "init_attn": unet.init_attention(narrow, num_frames),
        "downsample": unet.down_blocks[0].downsampler(narrow[:2]),
        "upsample": unet.up_blocks[2].upsampler(case.input("blk_up")),
    }


def frame_context(spatial: nn.Module, unet: ToonCrafterUNet, context: Tensor) -> tuple[Tensor, ...]:
    """Keys and values of a context of `(frames, tokens, channels)` for the blocks of one spatial
    transformer.

    Each frame stands as a clip of its own, since here each has a text of its own.
    """
    split = unet.split_context(context, num_frames=1)
    key_values: tuple[Tensor, ...] = spatial.transformer_blocks[0].attn2.key_values(split)
    return key_values


@golden("unet")
def unet(case: Case) -> dict[str, Tensor]:
    """Two clips with different timesteps, frame strides and contexts."""
    predict = case.parts.unet
    timestep, frame_stride = torch.tensor(case["timesteps"]), torch.tensor(case["fs"])
    return {"out": predict(case.input("unet_x"), timestep, case.input("unet_ctx"), frame_stride)}


@golden("unet_fs")
def unet_fs(case: Case) -> dict[str, Tensor]:
    """One clip at several frame strides; an output's name says which."""
    sample, context, timestep = (
        case.input("unetfs_x"),
        case.input("unetfs_ctx"),
        torch.tensor(case["timesteps"]),
    )
    outputs = {}
    for name in case["outputs"]:
        stride = name.removeprefix("fs").removeprefix("_")
        frame_stride = None if stride == "none" else torch.tensor([int(stride)])
        outputs[name] = case.parts.unet(sample, timestep, context, frame_stride)
    return outputs


@golden("unet_frames")
def unet_frames(case: Case) -> dict[str, Tensor]:
    """Clips of other lengths: image tokens shared by all frames, or 16 for each."""
    timestep, frame_stride = torch.tensor(case["timesteps"]), torch.tensor(case["fs"])

    def predict(frames: int) -> Tensor:
        sample, context = case.input(f"unet{frames}_x"), case.input(f"unet{frames}_ctx")
        prediction: Tensor = case.parts.unet(sample, timestep, context, frame_stride)
        return prediction

    lengths = {name: int(name.removeprefix("frames").split("_")[0]) for name in case["outputs"]}
    return {name: predict(frames) for name, frames in lengths.items()}


@golden("sketch")
def sketch(case: Case) -> dict[str, Tensor]:
    """Residuals with the whole context and with the text alone, and the UNet with and without
    them.
    """
    encoder, predict = case.parts.sketch_encoder, case.parts.unet
    latents, context = case.input("sk_x"), case.input("sk_ctx")
    timestep, frame_stride = torch.tensor(case["timesteps"]), torch.tensor(case["fs"])
    sample = torch.cat([latents, case.input("sk_concat")], dim=1)
    hint = encoder.embed_hint(case.hint("sk_hint"))

    outputs = {"unet_nocontrol": predict(sample, timestep, context, frame_stride)}
    contexts = {"full": context, "text": context[:, : predict.config.text_tokens]}
    for name, seen in contexts.items():
        residuals = encoder(latents, timestep, seen, hint)
        outputs |= {f"{name}_res{index}": residual for index, residual in enumerate(residuals)}
        scaled = encoder(latents, timestep, seen, hint, case["control_scale"])
        outputs[f"unet_{name}"] = predict(sample, timestep, context, frame_stride, scaled)
    return outputs
