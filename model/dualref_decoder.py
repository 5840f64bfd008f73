"""The video decoder that draws line detail from both key frames.

A Stable Diffusion decoder with a temporal branch in every residual block, and a fusion with the references after every
resolution. A clip is `(frames, channels, height, width)`, channels last in memory: so the layers over time see
`(1, channels, frames, height · width)` without a copy, as convolutions over two axes. diffusers' `TemporalDecoder` has
the same residual blocks, but copies the whole clip to another layout around each of them and cannot run in pieces.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from model.chunking import attention, by_frames, by_rows
from model.dualref_fusion import ReferenceAddition, ReferenceAttention, ReferenceFusion

SPATIAL_EPS = 1e-6
TEMPORAL_EPS = 1e-5


class ClipNorm(nn.GroupNorm):
    """Group norm with statistics over all frames of the clip, given as a scale and a shift per channel.

    So a layer over rows can be normalised piece by piece, with the statistics of the whole.
    """

    def scale_and_shift(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Two `(channels, 1, 1)` in float32: the norm is `video * scale + shift`."""
        means, variances = zip(*(self._moments(frame) for frame in video), strict=True)
        mean = torch.stack(means).view(-1, self.num_groups, self.num_channels // self.num_groups)
        variance = torch.stack(variances).view_as(mean)
        # Every frame and channel has as many pixels, so the moments combine without weights.
        group_mean = mean.mean((0, 2))
        group_variance = variance.mean((0, 2)) + (mean - group_mean[:, None]).square().mean((0, 2))
        inverse = (group_variance + self.eps).rsqrt()
        channels_per_group = mean.shape[2]
        scale = self.weight.float() * inverse.repeat_interleave(channels_per_group)
        shift = self.bias.float() - group_mean.repeat_interleave(channels_per_group) * scale
        return scale[:, None, None], shift[:, None, None]

    @staticmethod
    def _moments(frame: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel of one frame."""
        pixels = frame.float().permute(1, 2, 0).flatten(0, 1)
        mean = pixels.mean(0)
        return mean, (pixels - mean).square().mean(0)


class TimeConv(nn.Conv2d):
    """Convolution over three successive frames of a clip, each pixel by itself."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=(3, 1), padding=(1, 0))

    def forward(self, video: Tensor) -> Tensor:
        """`(frames, channels, height, width)` to the same; the clip is padded with empty frames."""
        frames, channels, height, width = video.shape
        pixels = video.permute(0, 2, 3, 1).reshape(1, frames, height * width, channels)
        mixed = super().forward(pixels.permute(0, 3, 1, 2))  # 1 c t (h w)
        return mixed.permute(0, 2, 3, 1).reshape(frames, height, width, -1).permute(0, 3, 1, 2)


class TemporalResBlock(nn.Module):
    """The temporal branch of a video residual block, weighted by a learned scalar."""

    def __init__(self, channels: int, norm_num_groups: int) -> None:
        super().__init__()
        self.norm1 = ClipNorm(norm_num_groups, channels, eps=TEMPORAL_EPS)
        self.conv1 = TimeConv(channels, channels)
        self.norm2 = ClipNorm(norm_num_groups, channels, eps=TEMPORAL_EPS)
        self.conv2 = TimeConv(channels, channels)
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, video: Tensor, frames: range, elements: int) -> Tensor:
        """The frames in `frames` of the mixed clip; all frames of `video` are needed for the norms' statistics."""
        scale1, shift1 = self.norm1.scale_and_shift(video)
        hidden = by_rows(lambda rows: self.conv1(_norm_silu(rows, scale1, shift1)), video, elements=elements)
        scale2, shift2 = self.norm2.scale_and_shift(hidden)
        seen = widened(frames, len(video))
        weight = torch.sigmoid(self.mix_factor)

        def mix(residual: Tensor, rows: Tensor) -> Tensor:
            branch = self.conv2(_norm_silu(rows, scale2, shift2))[frames.start - seen.start :][: len(frames)]
            return residual + weight * branch  # = weight * (residual + branch) + (1 - weight) * residual

        return by_rows(mix, video[frames.start : frames.stop], hidden[seen.start : seen.stop], elements=elements)


class VideoResBlock(nn.Module):
    """A residual block of each frame, then one over time."""

    def __init__(self, in_channels: int, out_channels: int, norm_num_groups: int) -> None:
        super().__init__()
        self.spatial = ResnetBlock2D(
            in_channels=in_channels,
            out_channels=out_channels,
            temb_channels=None,
            groups=norm_num_groups,
            eps=SPATIAL_EPS,
        )
        self.temporal = TemporalResBlock(out_channels, norm_num_groups)

    def forward(self, video: Tensor, frames: range, elements: int, upsample: Upsample2D | None = None) -> Tensor:
        """The frames in `frames` of the result; `upsample` enlarges each frame before it enters."""

        def spatial(piece: Tensor) -> Tensor:
            return cast(Tensor, self.spatial(piece if upsample is None else upsample(piece), temb=None))

        video = by_frames(spatial, video, elements // 4 if upsample else elements)
        return cast(Tensor, self.temporal(video, frames, elements))


class UpBlock(nn.Module):
    """One resolution: enlarge, residual blocks, fusion with the references of that resolution.

    Enlarging comes first, joined with the first residual block, so that the widest features of the new resolution exist
    for a few frames at a time only.
    """

    def __init__(
        self, in_channels: int, out_channels: int, layers: int, norm_num_groups: int, fusion: nn.Module, enlarge: bool
    ) -> None:
        super().__init__()
        self.upsample = Upsample2D(in_channels, use_conv=True) if enlarge else None
        self.resnets = nn.ModuleList(
            VideoResBlock(in_channels if layer == 0 else out_channels, out_channels, norm_num_groups)
            for layer in range(layers)
        )
        self.fusion = fusion

    def forward(self, video: Tensor, reference: Tensor | None, frames: range, elements: int) -> Tensor:
        """The frames in `frames` of the result."""
        clip = range(len(video))
        for index, resnet in enumerate(self.resnets):
            wanted = frames if resnet is self.resnets[-1] else clip
            video = resnet(video, wanted, elements, self.upsample if index == 0 else None)
        if reference is not None:
            video = self.fusion(video, reference, frames.start, len(clip), elements)
        return video


def widened(frames: range, clip_frames: int) -> range:
    """The frames that a convolution over time sees to compute `frames`."""
    return range(max(frames.start - 1, 0), min(frames.stop + 1, clip_frames))


def _norm_silu(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.silu(torch.addcmul(shift, rows.float(), scale).to(rows.dtype))


class QueryChunkedAttnProcessor:
    """Self-attention over the pixels of each frame, for diffusers' `Attention`: without a score matrix of all pairs."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: None = None,
    ) -> Tensor:
        """`(frames, channels, height, width)` to the same, residual added; diffusers passes the rest, always None."""
        tokens = attn.group_norm(hidden_states).flatten(2).transpose(1, 2)  # t c h w -> t (h w) c
        query, key, value = (
            project(tokens).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        attended = attn.to_out[0](attention(query, key, value).transpose(1, 2).flatten(2))
        return hidden_states + attended.transpose(1, 2).unflatten(2, hidden_states.shape[2:])


class DualReferenceDecoder(nn.Module):
    """Latents of one clip and features of its two key frames to frames.

    Args:
        latent_channels: of the input.
        out_channels: of the frames.
        block_out_channels: widths, from full resolution to an eighth of it.
        layers_per_block: residual blocks per resolution.
        norm_num_groups: of every group norm.
        reference_heads: heads of the attention to the references.
        reference_head_dim: size of one of these heads, whatever the width.
        reference_attention_levels: which resolutions attend, 0 the highest.
    """

    def __init__(
        self,
        latent_channels: int,
        out_channels: int,
        block_out_channels: Sequence[int],
        layers_per_block: int,
        norm_num_groups: int,
        reference_heads: int,
        reference_head_dim: int,
        reference_attention_levels: Sequence[int],
    ) -> None:
        super().__init__()
        widest, groups = block_out_channels[-1], norm_num_groups
        self.conv_in = nn.Conv2d(latent_channels, widest, kernel_size=3, padding=1)
        self.mid_resnets = nn.ModuleList([VideoResBlock(widest, widest, groups), VideoResBlock(widest, widest, groups)])
        self.mid_attention = Attention(
            query_dim=widest,
            heads=1,
            dim_head=widest,
            norm_num_groups=groups,
            eps=SPATIAL_EPS,
            bias=True,
            processor=QueryChunkedAttnProcessor(),
        )
        self.up_blocks = nn.ModuleList()
        in_channels = widest
        for level, channels in reversed(list(enumerate(block_out_channels))):
            fusion = (
                ReferenceAttention(channels, reference_heads, reference_head_dim, groups)
                if level in reference_attention_levels
                else ReferenceAddition(channels)
            )
            enlarge = level < len(block_out_channels) - 1
            self.up_blocks.append(UpBlock(in_channels, channels, layers_per_block, groups, fusion, enlarge))
            in_channels = channels
        self.norm_out = nn.GroupNorm(groups, in_channels, eps=SPATIAL_EPS)
        self.fusion_out = ReferenceAddition(in_channels)
        self.conv_out = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time_conv_out = TimeConv(out_channels, out_channels)

    def prepare(self, references: Sequence[Tensor]) -> list[Tensor]:
        """What the fusions need of the encoder's hidden states, in the order of the fusions: deepest first.

        Args:
            references: `(2, channels, h, w)` per hidden state: each resolution from the highest, then `conv_in`'s.
        """
        *levels, full = references
        fusions = [cast(UpBlock, block).fusion for block in self.up_blocks]
        prepared = [
            cast(ReferenceFusion, fusion).prepare(reference)
            for fusion, reference in zip(fusions, reversed(levels), strict=True)
        ]
        return [*prepared, self.fusion_out.prepare(full)]

    def forward(self, latents: Tensor, references: Sequence[Tensor] | None, frames: range, elements: int) -> Tensor:
        """Decode one clip.

        Args:
            latents: `(clip frames, latent_channels, h, w)`.
            references: what `prepare` returned, or None to decode without them.
            frames: the frames wanted; what only others need is not computed.
            elements: activations that a layer handles at once.

        Returns:
            `(frames, out_channels, 8 h, 8 w)`.
        """
        clip = range(len(latents))
        seen = widened(frames, len(clip))
        *fusions, fusion_out = references if references is not None else [None] * (len(self.up_blocks) + 1)

        video = self.conv_in(latents.contiguous(memory_format=torch.channels_last))
        video = self.mid_resnets[0](video, clip, elements)
        video = by_frames(self.mid_attention, video, elements)
        video = self.mid_resnets[1](video, clip, elements)
        for block, reference in zip(self.up_blocks, fusions, strict=True):
            video = block(video, reference, seen if block is self.up_blocks[-1] else clip, elements)
        video = self._paint(video, fusion_out, seen.start, len(clip), elements)
        mixed: Tensor = self.time_conv_out(video)
        return mixed[frames.start - seen.start :][: len(frames)]

    def _paint(self, video: Tensor, reference: Tensor | None, first: int, clip_frames: int, elements: int) -> Tensor:
        """Features to colours, a few frames at a time."""
        count = max(1, elements // video[0].numel())
        painted = []
        for start in range(0, len(video), count):
            piece = F.silu(self.norm_out(video[start : start + count]))
            if reference is not None:
                piece = self.fusion_out(piece, reference, first + start, clip_frames, elements)
            painted.append(self.conv_out(piece))
        return torch.cat(painted)
