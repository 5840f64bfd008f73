"""Answers about the autoencoder."""

import torch
from torch import Tensor

from model.autoencoder_kl_dualref import sample_posterior
from scripts.goldens.registry import Case, golden

KEPT_AS_THREE = [0, 5, 15]  # the latents of the three-frame clip


@golden("vae_encode")
def vae_encode(case: Case) -> dict[str, Tensor]:
    """Moments, hidden states and a drawn latent of two pictures."""
    pictures = torch.cat([case.pixels("vae_img0"), case.pixels("vae_img1")])
    moments, hidden_states = case.parts.autoencoder.encode(pictures)
    outputs = {f"hidden{index}": states for index, states in enumerate(hidden_states)}
    scale = case.parts.autoencoder.config.scaling_factor
    return outputs | {
        "moments": moments,
        "z": sample_posterior(moments, case.input("vae_noise")) * scale,
    }


@golden("vae_decode")
def vae_decode(case: Case) -> dict[str, Tensor]:
    """The decoder on 16, 14 and 3 frames, and without references."""
    autoencoder = case.parts.autoencoder
    # 1 c 2 h w -> 2 c h w
    states = [case.input(f"dec_ref{index}")[0].transpose(0, 1) for index in range(5)]
    references = autoencoder.prepare_references(states)
    latents = case.input("dec_z").transpose(0, 1)[None]  # t c h w -> 1 c t h w
    clips = {
        "out": autoencoder.decode(latents, references),
        "out14": autoencoder.decode(latents[:, :, :14], references),
        "out3": autoencoder.decode(latents[:, :, KEPT_AS_THREE], references),
        "out_noref": autoencoder.decode(latents, None),
    }
    return {name: clip[0].transpose(0, 1) for name, clip in clips.items()}
