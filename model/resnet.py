"""Residual blocks over space and then time.

The resampling is diffusers'. The spatial half has the arithmetic and the names of its
`ResnetBlock2D`, without a pass over every picture: that divides the sum by an output scale even
where it is 1. The convolutions along time are written as 2-D convolutions with kernel (3, 1) over
(frames, pixels): the same numbers as the published 3-D ones, on channels-last frames as they lie.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import clips_to_frames, frames_to_clips

RESIDUAL_NORM_EPS = 1e-5  # of the published UNet; the library's default is 1e-6


class TemporalConvolution(nn.Module):
    """Four norm-activation-convolution stages along time, added to their input."""

    def __init__(self, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                # statistics over all frames of a clip
                nn.GroupNorm(norm_groups, channels, eps=RESIDUAL_NORM_EPS),
                nn.SiLU(),
                nn.Conv2d(channels, channels, kernel_size=(3, 1), padding=(1, 0)),
            )
            for _ in range(4)
        )

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """`(clips · frames, channels, height, width)` in and out."""
        clips = frames_to_clips(hidden_states, num_frames)
        update = clips
        for stage in self.stages:
            update = stage(update)
        return clips_to_frames(clips + update, height=hidden_states.shape[2])


class SpatialResidual(nn.Module):
    """Two norm-activation-convolution stages on each picture, added to it.

    Args:
        in_channels, out_channels: of the pictures; where they differ, a 1x1 convolution brings the
            input to the output's width.
        norm_groups, eps: of the norms.
        embedding_channels: of what each picture is told between the stages; 0 for nothing.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_groups: int,
        eps: float,
        embedding_channels: int = 0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(norm_groups, in_channels, eps=eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.time_emb_proj = (
            nn.Linear(embedding_channels, out_channels) if embedding_channels else None
        )
        self.norm2 = nn.GroupNorm(norm_groups, out_channels, eps=eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.conv_shortcut = (
            nn.Conv2d(in_channels, out_channels, kernel_size=1)
            if in_channels != out_channels
            else None
        )

    def forward(self, pictures: Tensor, embedding: Tensor | None = None) -> Tensor:
        """`(n, in_channels, height, width)` to the same with `out_channels`."""
        shortcut, update = self.branches(pictures, embedding)
        return shortcut + update

    def branches(self, pictures: Tensor, embedding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two summands of `forward`, for a caller that has a place for the sum."""
        update = self.conv1(F.silu(self.norm1(pictures)))
        if self.time_emb_proj is not None and embedding is not None:
            update = update + self.time_emb_proj(F.silu(embedding))[:, :, None, None]
        update = self.conv2(F.silu(self.norm2(update)))
        shortcut = pictures if self.conv_shortcut is None else self.conv_shortcut(pictures)
        return shortcut, update


class ResidualBlock(nn.Module):
    """A residual block on each frame, told the timestep, followed by convolutions along time."""

    def __init__(
        self, in_channels: int, out_channels: int, embedding_channels: int, norm_groups: int
    ) -> None:
        super().__init__()
        self.spatial = SpatialResidual(
            in_channels, out_channels, norm_groups, RESIDUAL_NORM_EPS, embedding_channels
        )
        self.temporal = TemporalConvolution(out_channels, norm_groups)

    def forward(self, hidden_states: Tensor, embedding: Tensor, num_frames: int) -> Tensor:
        """Transform frames.

        Args:
            hidden_states: `(clips · frames, in_channels, height, width)`.
            embedding: `(clips · frames, embedding_channels)`, before its activation.
            num_frames: frames of one clip.

        Returns:
            `(clips · frames, out_channels, height, width)`.
        """
        output: Tensor = self.temporal(self.spatial(hidden_states, embedding), num_frames)
        return output
