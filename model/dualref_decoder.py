"""The video decoder that draws line detail from both key frames.

A Stable Diffusion decoder with a temporal branch in every residual block, and a fusion with the
references after every resolution.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from model.chunking import attention, by_frames
from model.dualref_blocks import SPATIAL_EPS, TimeConv, VideoResBlock, widened
from model.dualref_fusion import ReferenceAddition, ReferenceAttention, ReferenceFusion


class UpBlock(nn.Module):
    """One resolution: enlarge, residual blocks, fusion with the references of that resolution.

    Enlarging comes first, joined with the first residual block, so that the widest features of the
    new resolution exist for a few frames at a time only.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        layers: int,
        norm_num_groups: int,
        fusion: nn.Module,
        enlarge: bool,
    ) -> None:
        super().__init__()
        self.upsample = Upsample2D(in_channels, use_conv=True) if enlarge else None
        self.resnets = nn.ModuleList(
            VideoResBlock(
                in_channels if layer == 0 else out_channels, out_channels, norm_num_groups
            )
            for layer in range(layers)
        )
        self.fusion = fusion

    def forward(
        self, video: Tensor, reference: Tensor | None, frames: range, elements: int
    ) -> Tensor:
        """The frames in `frames` of the result."""
        clip = range(len(video))
        for index, resnet in enumerate(self.resnets):
            wanted = frames if resnet is self.resnets[-1] else clip
            video = resnet(video, wanted, elements, self.upsample if index == 0 else None)
        if reference is not None:
            video = self.fusion(video, reference, frames.start, len(clip), elements)
        return video


class PixelAttnProcessor:
    """Self-attention over the pixels of each frame, for diffusers' `Attention`: in bounded
    memory.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: None = None,
    ) -> Tensor:
        """`(frames, channels, height, width)` to the same, residual added; diffusers passes the
        rest, always None.
        """
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
        self.mid_resnets = nn.ModuleList(
            [VideoResBlock(widest, widest, groups), VideoResBlock(widest, widest, groups)]
        )
        self.mid_attention = Attention(
            query_dim=widest,
            heads=1,
            dim_head=widest,
            norm_num_groups=groups,
            eps=SPATIAL_EPS,
            bias=True,
            processor=PixelAttnProcessor(),
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
            self.up_blocks.append(
                UpBlock(in_channels, channels, layers_per_block, groups, fusion, enlarge)
            )
            in_channels = channels
        self.norm_out = nn.GroupNorm(groups, in_channels, eps=SPATIAL_EPS)
        self.fusion_out = ReferenceAddition(in_channels)
        self.conv_out = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time_conv_out = TimeConv(out_channels, out_channels)

    def prepare(self, references: Sequence[Tensor]) -> list[Tensor]:
        """What the fusions need of the encoder's hidden states, in the order of the fusions:
        deepest first.

        Args:
            references: `(2, channels, h, w)` per hidden state: each resolution from the highest,
                then `conv_in`'s.
        """
        *levels, full = references
        fusions = [cast(UpBlock, block).fusion for block in self.up_blocks]
        prepared = [
            cast(ReferenceFusion, fusion).prepare(reference)
            for fusion, reference in zip(fusions, reversed(levels), strict=True)
        ]
        return [*prepared, self.fusion_out.prepare(full)]

    def forward(
        self, latents: Tensor, references: Sequence[Tensor] | None, frames: range, elements: int
    ) -> Tensor:
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
        *fusions, fusion_out = (
            references if references is not None else [None] * (len(self.up_blocks) + 1)
        )

        video = self.conv_in(latents.contiguous(memory_format=torch.channels_last))
        video = self.mid_resnets[0](video, clip, elements=elements)
        video = by_frames(lambda frames: (self.mid_attention(frames),), video, elements)
        video = self.mid_resnets[1](video, clip, elements=elements)
        for block, reference in zip(self.up_blocks, fusions, strict=True):
            wanted = seen if block is self.up_blocks[-1] else clip
            video = block(video, reference, wanted, elements=elements)
        video = self._paint(video, fusion_out, seen.start, len(clip), elements)
        mixed: Tensor = self.time_conv_out(video)
        return mixed[frames.start - seen.start :][: len(frames)]

    def _paint(
        self, video: Tensor, reference: Tensor | None, first: int, clip_frames: int, elements: int
    ) -> Tensor:
        """Features to colours, a few frames at a time."""
        count = max(1, elements // video[0].numel())
        painted = []
        for start in range(0, len(video), count):
            piece = F.silu(self.norm_out(video[start : start + count]))
            if reference is not None:
                piece = self.fusion_out(piece, reference, first + start, clip_frames, elements)
            painted.append(self.conv_out(piece))
        return torch.cat(painted)
