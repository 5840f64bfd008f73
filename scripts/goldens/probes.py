"""The autoencoder's and the encoders' share of `eps_probe`."""

import torch
from torch import Tensor

from scripts.goldens.registry import Case
from scripts.goldens.small_weights import probed

ELEMENTS = 2**20  # more than any probe has: no layer runs in pieces


def autoencoder_probes(case: Case) -> dict[str, Tensor]:
    """Residual blocks, attentions and norms of encoder and decoder."""
    encoder, decoder = case.parts.autoencoder.encoder, case.parts.autoencoder.decoder
    video = case.input("eps_dec").contiguous(memory_format=torch.channels_last)
    decoder_block = probed(case, "dec_res", decoder.up_blocks[-1].resnets[-1])
    fusion = probed(case, "dec_fusion", decoder.up_blocks[0].fusion)
    fused = case.input("eps_dec_fus")
    references = fusion.prepare(case.input("eps_fusref")[0].transpose(0, 1))  # 1 c 2 h w -> 2 c h w
    return {
        "enc_res": probed(case, "enc_res", encoder.down_blocks[0].resnets[0])(
            case.input("eps_enc"), temb=None
        ),
        "enc_attn": probed(case, "enc_attn", encoder.mid_block.attentions[0])(
            case.input("eps_enc_attn")
        ),
        "enc_norm_out": encoder.conv_norm_out(case.input("eps_enc_no")),
        "dec_res": decoder_block(video, range(len(video)), ELEMENTS),
        "dec_attn": probed(case, "dec_attn", decoder.mid_attention)(case.input("eps_dec_attn")),
        "dec_fusion": fusion(fused, references, 0, len(fused), ELEMENTS),
        "dec_norm_out": decoder.norm_out(case.input("eps_dec_no")),
    }


def encoder_probes(case: Case) -> dict[str, Tensor]:
    """A layer and a norm of each CLIP tower."""
    text, image = case.parts.text_encoder, case.parts.image_encoder
    tokens = case.input("eps_txt")
    length = tokens.shape[1]
    causal = torch.full((1, 1, length, length), -torch.inf).triu(1)
    return {
        "text_block": probed(case, "text_block", text.encoder.layers[0])(
            tokens, attention_mask=causal
        ),
        "text_ln_final": text.final_layer_norm(case.input("eps_txt_f")),
        "vis_ln_pre": image.pre_layrnorm(case.input("eps_vis_p")),
        "vis_block": probed(case, "vis_block", image.encoder.layers[0])(
            case.input("eps_vis"), attention_mask=None
        ),
    }
