"""Where small ToonCrafter parts start: averaging and repeating pixels, silent residual branches."""

import torch
from torch import Tensor, nn

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.resampler import ImageResampler
from model.unet_tooncrafter import ToonCrafterUNet

CARRIED = 8  # channels that carry colour through: three colours, their negatives, two constants
POSTERIOR_LOG_VARIANCE = -7.8  # a standard deviation of 0.02


def bias_of(layer: nn.Module) -> Tensor:
    """Return the bias of a layer.

    Raises:
        ValueError: it has none.
    """
    if not isinstance(layer.bias, Tensor):
        raise ValueError(f"{layer} has to have a bias but has none")
    return layer.bias


@torch.no_grad()
def start_autoencoder(vae: AutoencoderKLDualRef) -> None:
    """Have the autoencoder begin as averaging down and repeating up, colours intact.

    A colour c travels as the pair (c, -c): silu(c) - silu(-c) = c, so the activations before the
    last convolutions do no harm. Two constant channels let group norms keep contrast.
    """
    for name, module in vae.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            continue
        if name.endswith(("conv2", "to_out.0", "fusion.to_out", "fusion.conv", "fusion_out.conv")):
            module.weight.mul_(0.05)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.Conv2d) and name.endswith(
            ("conv_shortcut", "downsamplers.0.conv", "upsample.conv")
        ):
            _carry(module)
    for coder in (vae.encoder, vae.decoder):
        _enter(coder.conv_in)
    _leave(vae.encoder.conv_out, 0.5)
    _leave(vae.decoder.conv_out, 0.9)
    latents = vae.config.latent_channels
    vae.quant_conv.weight.zero_()
    vae.quant_conv.weight[:latents] = torch.eye(2 * latents)[:latents, :, None, None]
    bias_of(vae.quant_conv)[:latents] = 0
    bias_of(vae.quant_conv)[latents:] = POSTERIOR_LOG_VARIANCE
    over_time = vae.decoder.time_conv_out
    over_time.weight.zero_()
    bias_of(over_time).zero_()
    for colour in range(3):
        over_time.weight[colour, colour, over_time.weight.shape[2] // 2, 0] = 1


def _carry(conv: nn.Conv2d) -> None:
    """Pass the carried channels through; others keep a part of their random weights."""
    conv.weight.mul_(0.3)
    conv.weight[:CARRIED] = 0
    conv.weight[:, :CARRIED] *= 0.3
    if conv.bias is not None:
        conv.bias.zero_()
    for channel in range(min(CARRIED, *conv.weight.shape[:2])):
        if conv.stride[0] == 2:
            conv.weight[channel, channel, :2, :2] = 0.25
        else:
            centre = conv.weight.shape[-1] // 2
            conv.weight[channel, channel, centre, centre] = 1


def _enter(conv: nn.Conv2d) -> None:
    conv.weight[:CARRIED] = 0
    bias = bias_of(conv)
    bias.zero_()
    bias[6], bias[7] = 2, -2
    for colour in range(3):
        conv.weight[colour, colour, 1, 1] = 1
        conv.weight[3 + colour, colour, 1, 1] = -1


def _leave(conv: nn.Conv2d, amount: float) -> None:
    conv.weight.mul_(0.3)
    bias_of(conv).zero_()
    conv.weight[:3] *= 0.1
    for colour in range(3):
        conv.weight[colour, colour, 1, 1] = amount
        conv.weight[colour, 3 + colour, 1, 1] = -amount


@torch.no_grad()
def start_unet(unet: ToonCrafterUNet) -> None:
    """Have every residual branch start near zero."""
    for name, module in unet.named_modules():
        if name.endswith(("temporal.stages.3.2", "proj_out", "spatial.conv2")):
            module.weight.mul_(0.1)
            bias_of(module).zero_()
    unet.conv_out.weight.mul_(0.1)
    bias_of(unet.conv_out).zero_()


@torch.no_grad()
def start_resampler(resampler: ImageResampler) -> None:
    """Write each frame's place in its queries as Fourier codes: the UNet has no other positions."""
    queries = resampler.projection.latents  # 1 (frames tokens) channels
    frames = resampler.config.num_frames
    place = torch.linspace(0, 1, frames)[:, None]
    angles = place * torch.arange(queries.shape[2] // 2) * torch.pi / 2
    codes = torch.cat([angles.sin(), angles.cos()], dim=1)
    codes = codes.repeat_interleave(queries.shape[1] // frames, dim=0)
    queries.copy_(codes[None] + 0.1 * queries)
