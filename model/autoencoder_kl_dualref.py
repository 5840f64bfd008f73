"""The autoencoder: pictures to latents, and latents back to frames with a look at both key frames.

The encoder is Stable Diffusion's, and also hands out what it saw at each resolution. The decoder
draws line detail from these hidden states of the two key frames (ToonCrafter, section 3.3).
"""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution, Encoder
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from model.dualref_decoder import DualReferenceDecoder, PixelAttnProcessor

CPU_CHUNK = 2**20  # 4 MiB in float32 stay in the cache: fastest of 2**20 to 2**24 on two cores
# Nearly all layers of a 512x320 clip in one piece: a third of the launches with `SMALL_CHUNK`, for
# 0.6 GB more in float16, by count. Indices fit 32 bits, as cuDNN's fastest kernels need.
CUDA_CHUNK = 2**29
SMALL_CHUNK = 2**25  # 64 MiB in float16, a tenth of one clip's features at full resolution


class HiddenStateEncoder(Encoder):
    """diffusers' encoder, which also returns its features before each downsampling."""

    def forward(self, sample: Tensor) -> tuple[Tensor, list[Tensor]]:
        """`(n, 3, H, W)` to moments before `quant_conv`, and hidden states as `encode` below has
        them.
        """
        hidden_states = []
        sample = first = self.conv_in(sample)
        for block in self.down_blocks:
            for resnet in block.resnets:
                sample = resnet(sample, temb=None)
            hidden_states.append(sample)
            for downsampler in block.downsamplers or ():
                sample = downsampler(sample)
        sample = self.mid_block(sample)
        return self.conv_out(self.conv_act(self.conv_norm_out(sample))), [*hidden_states, first]


class AutoencoderKLDualRef(ModelMixin, ConfigMixin):
    """KL autoencoder with a dual-reference video decoder.

    `chunk_elements` bounds the activations that a decoder layer handles at once; None takes a good
    size for the device. A smaller number saves memory, in the end for time; the frames stay the
    same.

    Args:
        in_channels, out_channels: of pictures and frames.
        latent_channels: of the latents.
        block_out_channels: widths, from full resolution to an eighth of it.
        layers_per_block: residual blocks per resolution in the encoder; the decoder has one more.
        norm_num_groups: of every group norm.
        reference_heads, reference_head_dim: of the decoder's attention to the key frames.
        reference_attention_levels: the resolutions, 0 the highest, at which the decoder attends to
            the key frames; at the others their features are added to the clip's ends.
        scaling_factor: latents are multiplied by it for the UNet.
    """

    chunk_elements: int | None = None

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        latent_channels: int = 4,
        block_out_channels: tuple[int, ...] = (128, 256, 512, 512),
        layers_per_block: int = 2,
        norm_num_groups: int = 32,
        reference_heads: int = 8,
        reference_head_dim: int = 64,
        reference_attention_levels: tuple[int, ...] = (2, 3),
        scaling_factor: float = 0.18215,
    ) -> None:
        super().__init__()
        self.encoder = HiddenStateEncoder(
            in_channels=in_channels,
            out_channels=latent_channels,
            down_block_types=("DownEncoderBlock2D",) * len(block_out_channels),
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_num_groups,
        )
        for module in self.encoder.modules():
            if isinstance(module, Attention):
                module.set_processor(PixelAttnProcessor())
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, kernel_size=1)
        self.decoder = DualReferenceDecoder(
            latent_channels=latent_channels,
            out_channels=out_channels,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block + 1,
            norm_num_groups=norm_num_groups,
            reference_heads=reference_heads,
            reference_head_dim=reference_head_dim,
            reference_attention_levels=reference_attention_levels,
        )

    @apply_forward_hook  # CPU offload moves the weights when one of these is called
    def encode(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Encode pictures, each by itself.

        Args:
            pictures: `(n, 3, height, width)` in [-1, 1].

        Returns:
            The moments `(n, 8, height / 8, width / 8)` of the latents' distribution, mean first,
            then log variance; and five hidden states `(n, channels, h, w)`: at height, height / 2,
            / 4 and / 8 before downsampling, and the output of the first convolution.
        """
        sample, hidden_states = self.encoder(pictures.contiguous(memory_format=torch.channels_last))
        return self.quant_conv(sample), hidden_states

    @apply_forward_hook
    def prepare_references(self, hidden_states: Sequence[Tensor]) -> list[Tensor]:
        """What the decoder needs of the key frames, computed once for any number of `decode` calls.

        Args:
            hidden_states: as `encode` returns them for the first and the last picture of a clip.

        Raises:
            ValueError: a hidden state holds other than two pictures.
        """
        for index, states in enumerate(hidden_states):
            if len(states) != 2:
                raise ValueError(
                    f"hidden state {index} has to hold the 2 key frames but holds {len(states)}"
                )
        return self.decoder.prepare(hidden_states)

    @apply_forward_hook
    def decode(
        self, latents: Tensor, references: Sequence[Tensor] | None, keep: slice | None = None
    ) -> Tensor:
        """Turn the latents of one clip into frames, drawing line detail from both key frames.

        All frames are one clip, however many: the published code cuts longer clips into pieces of
        16, whose ends then receive the key frames' detail in the middle of the video.

        Args:
            latents: `(1, 4, frames, height / 8, width / 8)`, already divided by `scaling_factor`.
            references: from `prepare_references`; None decodes without them.
            keep: the successive frames wanted (default: all). Their values do not depend on it.

        Returns:
            `(1, 3, kept frames, height, width)`, about [-1, 1], not clamped.

        Raises:
            ValueError: more than one clip, or `keep` selects no successive frames.
        """
        if len(latents) != 1:
            raise ValueError(f"decode takes one clip but got {len(latents)}")
        frames = range(latents.shape[2])[keep or slice(None)]
        if not frames or frames.step != 1:
            raise ValueError(
                f"keep has to select successive frames of {latents.shape[2]} but is {keep}"
            )
        usual = {"cpu": CPU_CHUNK, "cuda": CUDA_CHUNK}.get(latents.device.type, SMALL_CHUNK)
        elements = self.chunk_elements or usual
        video: Tensor = self.decoder(latents[0].transpose(0, 1), references, frames, elements)
        return video.transpose(0, 1)[None]

    def forward(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """Reconstruct a clip from the first and last picture's detail and every picture's latent;
        for training.

        Args:
            pictures: `(frames, 3, height, width)` in [-1, 1].
            noise: `(frames, 4, height / 8, width / 8)`, standard normal.

        Returns:
            `(1, 3, frames, height, width)`.
        """
        moments, hidden_states = self.encode(pictures)
        references = self.prepare_references([states[[0, -1]] for states in hidden_states])
        latents = sample_posterior(moments, noise)
        return self.decode(latents.transpose(0, 1)[None], references)


def sample_posterior(moments: Tensor, noise: Tensor) -> Tensor:
    """Latents `(n, 4, h, w)` drawn with the given standard normal noise, not yet scaled."""
    posterior: Any = DiagonalGaussianDistribution(moments)  # clamps the log variance to [-30, 20]
    latents: Tensor = posterior.mean + posterior.std * noise.to(moments)
    return latents
