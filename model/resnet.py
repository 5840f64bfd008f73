"""Residual blocks over space and then time.

The spatial half and the resampling are diffusers'. The convolutions along time are written as 2-D
convolutions with kernel (3, 1) over (frames, pixels): the same numbers as the published 3-D ones,
on channels-last frames as they lie.
"""

from diffusers.models.resnet import ResnetBlock2D
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


class ResidualBlock(nn.Module):
    """A residual block on each frame, told the timestep, followed by convolutions along time."""

    def __init__(
        self, in_channels: int, out_channels: int, embedding_channels: int, norm_groups: int
    ) -> None:
        super().__init__()
        self.spatial = ResnetBlock2D(
            in_channels=in_channels,
            out_channels=out_channels,
            temb_channels=embedding_channels,
            groups=norm_groups,
            eps=RESIDUAL_NORM_EPS,
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
