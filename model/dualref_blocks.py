"""Residual blocks of a video: one of each frame, then one over time.

A clip is `(frames, channels, height, width)`, channels last in memory: so the layers over time see
`(1, channels, frames, height · width)` without a copy, as convolutions over two axes. diffusers'
`SpatioTemporalResBlock` has the same arithmetic, but copies the clip to another layout and cannot
run in pieces.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from model.chunking import Summands, by_frames, by_rows, takes_no_out
from model.resnet import SpatialResidual

SPATIAL_EPS = 1e-6
TEMPORAL_EPS = 1e-5


class ClipNorm(nn.Module):
    """Group norm with statistics over all frames of the clip, given as a scale and a shift per
    channel.

    So a layer over rows can be normalised piece by piece, with the statistics of the whole.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Two `(channels, 1, 1)` in float32: the norm is `video * scale + shift`."""
        variance, mean = (
            moments.unflatten(1, (self.num_groups, -1)) for moments in _variance_mean(video)
        )
        # Every frame and channel has as many pixels, so the moments combine without weights.
        spread, group_mean = torch.var_mean(mean, dim=(0, 2), correction=0, keepdim=True)
        group_variance = variance.mean((0, 2), keepdim=True) + spread
        inverse = (group_variance[0] + self.eps).rsqrt()
        # A half-precision weight times a float32 number is float32.
        scale = self.weight.unflatten(0, (self.num_groups, -1)) * inverse
        shift = self.bias.unflatten(0, (self.num_groups, -1)) - group_mean[0] * scale
        return scale.view(-1, 1, 1), shift.view(-1, 1, 1)


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
        """The frames in `frames` of the mixed clip; all frames of `video` are needed for the norms'
        statistics.
        """
        scale1, shift1 = self.norm1(video)
        hidden = by_rows(
            lambda rows: (self.conv1(_norm_silu(rows, scale1, shift1)),), video, elements=elements
        )
        scale2, shift2 = self.norm2(hidden)
        seen = widened(frames, len(video))
        weight = torch.sigmoid(self.mix_factor)

        def mix(residual: Tensor, rows: Tensor) -> Summands:
            branch = self.conv2(_norm_silu(rows, scale2, shift2))[frames.start - seen.start :][
                : len(frames)
            ]
            # = weight * (residual + branch) + (1 - weight) * residual
            return residual, branch, weight

        return by_rows(
            mix,
            video[frames.start : frames.stop],
            hidden[seen.start : seen.stop],
            elements=elements,
        )


class VideoResBlock(nn.Module):
    """A residual block of each frame, then one over time."""

    def __init__(self, in_channels: int, out_channels: int, norm_num_groups: int) -> None:
        super().__init__()
        self.spatial = SpatialResidual(in_channels, out_channels, norm_num_groups, SPATIAL_EPS)
        self.temporal = TemporalResBlock(out_channels, norm_num_groups)

    def forward(
        self, video: Tensor, frames: range, elements: int, upsample: Upsample2D | None = None
    ) -> Tensor:
        """The frames in `frames` of the result; `upsample` enlarges each frame before it enters."""

        def spatial(piece: Tensor) -> Summands:
            return self.spatial.branches(piece if upsample is None else upsample(piece))

        video = by_frames(spatial, video, elements // 4 if upsample else elements)
        return cast(Tensor, self.temporal(video, frames, elements))


def widened(frames: range, clip_frames: int) -> range:
    """The frames that a convolution over time sees to compute `frames`."""
    return range(max(frames.start - 1, 0), min(frames.stop + 1, clip_frames))


def _variance_mean(video: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and mean of each frame and channel, `(frames, channels)` in float32.

    Sums of half precision are float32 without a copy of the video. What the difference of squares
    loses there is less than the video's own rounding.
    """
    if video.dtype == torch.float32:
        return torch.var_mean(video, dim=(2, 3), correction=0)
    mean = video.mean((2, 3), dtype=torch.float32)
    norm = torch.linalg.vector_norm(video, dim=(2, 3), dtype=torch.float32)
    root_mean_square = norm / math.sqrt(video[0, 0].numel())
    return torch.addcmul(root_mean_square.square(), mean, mean, value=-1), mean


def _norm_silu(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """The arithmetic is float32, the result has the type of `rows`."""
    if takes_no_out():
        return F.silu(torch.addcmul(shift, rows, scale).to(rows.dtype))
    normalised = torch.addcmul(shift, rows, scale, out=torch.empty_like(rows))
    return F.silu(normalised, inplace=True)
