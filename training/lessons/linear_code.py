"""A linear start for the autoencoder: latents are the principal components of 8x8 patches."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.autoencoder_kl_dualref import AutoencoderKLDualRef, HiddenStateEncoder
from training.lessons.start import POSTERIOR_LOG_VARIANCE, bias_of

CONSTANT = 20.0  # of two channels, far above all others, so that the last norm hardly scales them


@torch.no_grad()
def code_linearly(vae: AutoencoderKLDualRef, pictures: Tensor) -> None:
    """Have the encoder compute principal components, and the decoder start from mean colours.

    Each level's downsampling keeps the components of 2x2 cells that explain most, and residual
    branches are silent. So a denoiser can be taught on these latents at once, while the decoder
    learns to draw them. Weaker components are scaled up by the square root of their share.

    Args:
        vae: of one norm group; the last width has to hold more than twice the latents.
        pictures: `(n, 3, height, width)` in [-1, 1], what the components are computed of.
    """
    encoder = vae.encoder
    latents = vae.config.latent_channels
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.zero_()
            bias_of(module).zero_()
    for colour in range(3):
        encoder.conv_in.weight[colour, colour, 1, 1] = 1
    sample, used = encoder.conv_in(pictures), 3
    for block in encoder.down_blocks:
        for resnet in block.resnets:
            if resnet.conv_shortcut is not None:
                _carry(resnet.conv_shortcut, used)
            sample = resnet(sample, temb=None)
        for downsampler in block.downsamplers or ():
            used = _keep_components(downsampler.conv, sample, used)
            sample = downsampler(sample)
    spread = sample.std((0, 2, 3))[:latents]
    _double(encoder, latents, spread.sqrt())
    vae.quant_conv.weight.copy_(torch.eye(2 * latents)[:, :, None, None])
    vae.quant_conv.weight[latents:] = 0
    bias_of(vae.quant_conv)[:latents] = 0
    bias_of(vae.quant_conv)[latents:] = POSTERIOR_LOG_VARIANCE
    bias_of(vae.quant_conv)[:latents] = -vae.encode(pictures)[0][:, :latents].mean((0, 2, 3))
    _draw_mean_colours(vae, pictures)


def _carry(shortcut: nn.Conv2d, used: int) -> None:
    for channel in range(used):
        shortcut.weight[channel, channel, 0, 0] = 1


def _keep_components(conv: nn.Conv2d, sample: Tensor, used: int) -> int:
    """Write the strongest components of 2x2 cells into a convolution; return their number."""
    cells = F.unfold(sample[:, :used], 2, stride=2).transpose(1, 2).flatten(0, 1)
    _, _, components = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    kept = min(len(components), conv.out_channels)
    conv.weight[:kept, :used, :2, :2] = components[:kept].view(kept, used, 2, 2)
    return kept


def _double(encoder: HiddenStateEncoder, latents: int, scale: Tensor) -> None:
    """Give each latent a channel and its negative: silu(c) - silu(-c) = c."""
    last = encoder.down_blocks[-2].downsamplers[0].conv
    last.weight[-latents - 2 :] = 0
    last.weight[-latents:] = -last.weight[:latents]
    bias_of(last)[-latents - 2] = CONSTANT
    bias_of(last)[-latents - 1] = -CONSTANT
    size = (2 * CONSTANT**2 / last.out_channels) ** 0.5  # what the last norm divides by, about
    for latent in range(latents):
        encoder.conv_out.weight[latent, latent, 1, 1] = size / scale[latent]
        encoder.conv_out.weight[latent, last.out_channels - latents + latent, 1, 1] = (
            -size / scale[latent]
        )


def _draw_mean_colours(vae: AutoencoderKLDualRef, pictures: Tensor) -> None:
    """Have the decoder's first convolution turn latents into each patch's mean colour."""
    latents = vae.config.latent_channels
    code = vae.encode(pictures)[0][:, :latents].transpose(0, 1).flatten(1)
    colours = F.avg_pool2d(pictures, 8).transpose(0, 1).flatten(1)
    known = torch.cat([code, torch.ones_like(code[:1])]).T
    solution = torch.linalg.lstsq(known, colours.T).solution.T  # 3 (latents + 1)
    conv = vae.decoder.conv_in
    for sign, first in ((1, 0), (-1, 3)):
        conv.weight[first : first + 3] = 0
        conv.weight[first : first + 3, :, 1, 1] = sign * solution[:, :latents]
        bias_of(conv)[first : first + 3] = sign * solution[:, latents]
