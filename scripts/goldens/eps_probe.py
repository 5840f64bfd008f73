"""Answer of `eps_probe`: every kind of norm on activations so small that a wrong epsilon shows."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.goldens.probes import autoencoder_probes, encoder_probes
from scripts.goldens.registry import Case, golden
from scripts.goldens.small_weights import probed
from scripts.goldens.unet import frame_context


@golden("eps_probe")
def eps_probe(case: Case) -> dict[str, Tensor]:
    """All probes, of every part."""
    return (
        unet_probes(case)
        | resampler_probes(case)
        | sketch_probes(case)
        | autoencoder_probes(case)
        | encoder_probes(case)
    )


def unet_probes(case: Case) -> dict[str, Tensor]:
    """Blocks of the UNet."""
    unet = case.parts.unet
    layer = unet.down_blocks[0].layers[0]
    frames, context = case.input("eps_unet"), case.input("eps_ctx")
    num_frames = frames.shape[0]

    residual = probed(case, "unet_resblock", layer.residual)
    spatial = probed(case, "unet_spatial", layer.spatial)
    temporal = probed(case, "unet_temporal", layer.temporal)
    init_attention = probed(case, "unet_init_attn", unet.init_attention)
    norm_out, conv_out = probed(case, "unet_out", nn.ModuleList([unet.norm_out, unet.conv_out]))

    # The bare blocks, on tokens. Their context belongs to frames too.
    block_spatial = probed(case, "block_spatial", layer.spatial.transformer_blocks[0])
    split = unet.split_context(case.input("eps_ctx1"), num_frames=1)
    key_values = block_spatial.attn2.key_values(split)
    block_temporal = probed(case, "block_temporal", layer.temporal.transformer_blocks[0])
    block_init = probed(case, "block_init_attn", unet.init_attention.transformer_blocks[0])
    return {
        "unet_resblock": residual(frames, case.input("eps_emb"), num_frames),
        "unet_spatial": spatial(frames, frame_context(spatial, unet, context), num_frames=1),
        "unet_temporal": temporal(frames, num_frames),
        "unet_init_attn": init_attention(frames, num_frames),
        "unet_out": conv_out(F.silu(norm_out(case.input("eps_unet_out")))),
        "block_spatial": block_spatial(case.input("eps_tokens"), key_values, num_frames=1),
        "block_temporal": block_temporal(case.input("eps_tokens")),
        "block_init_attn": block_init(case.input("eps_tokens_init")),
    }


def resampler_probes(case: Case) -> dict[str, Tensor]:
    """The image projection's layers, without their residuals, and its last norm."""
    projection = case.parts.image_projection.projection
    attention = probed(case, "resampler_attn", projection.layers[0])
    feed_forward = probed(case, "resampler_ff", projection.layers[0].ff)
    tokens, latents = case.input("eps_rs_x"), case.input("eps_rs_l")
    queries = attention.ln1(latents)
    return {
        "resampler_attn": attention.attn(
            queries, torch.cat([attention.ln0(tokens), queries], dim=1)
        ),
        "resampler_ff": feed_forward(latents),
        "resampler_norm_out": projection.norm_out(case.input("eps_rs_no")),
    }


def sketch_probes(case: Case) -> dict[str, Tensor]:
    """Blocks of the sketch encoder."""
    block = case.parts.sketch_encoder.network.down_blocks[0]
    residual = probed(case, "sketch_res", block.resnets[0])
    spatial = probed(case, "sketch_spatial", block.attentions[0])
    tokens = probed(case, "block_sketch", block.attentions[0].transformer_blocks[0])
    return {
        "sketch_res": residual(case.input("eps_sk"), case.input("eps_semb")),
        "sketch_spatial": spatial(case.input("eps_sk2"), case.input("eps_ctx"), return_dict=False)[
            0
        ],
        "block_sketch": tokens(
            case.input("eps_tokens"), encoder_hidden_states=case.input("eps_ctx1")
        ),
    }
