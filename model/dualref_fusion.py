"""How the decoder looks back at the two key frames: by attention at low resolution, by addition at
high.

Both forms take the encoder's features of the first and last picture, `(2, channels, height,
width)`. What depends on these alone is computed by `prepare`, once for both decoder passes.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from model.chunking import Summands, attention, by_frames


class ReferenceFusion(Protocol):
    """Adds what the key frames show to a part of a clip."""

    def prepare(self, references: Tensor) -> Tensor:
        """What the fusion needs of the references, whatever the clip."""

    def __call__(
        self, video: Tensor, prepared: Tensor, first: int, clip_frames: int, elements: int
    ) -> Tensor:
        """Fuse.

        Args:
            video: `(frames, channels, height, width)`, which may be changed in place.
            prepared: what `prepare` returned.
            first: index of the video's first frame in its clip.
            clip_frames: frames of the whole clip.
            elements: activations to handle at once.
        """


class ReferenceAttention(nn.Module):
    """Every frame attends to all pixels of both key frames.

    Keys and values come from the references as they are, queries from the normalised frames. The
    keys are the same for all frames, so frames and pixels form one sequence of queries and nothing
    is copied per frame.
    """

    def __init__(self, channels: int, heads: int, head_dim: int, norm_num_groups: int) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.norm = nn.GroupNorm(norm_num_groups, channels, eps=1e-6)
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(channels, inner, bias=False)
        self.to_v = nn.Linear(channels, inner, bias=False)
        self.to_out = nn.Linear(inner, channels)

    def prepare(self, references: Tensor) -> Tensor:
        """Keys and values of both key frames, `(2, 1, heads, 2 · height · width, head size)`."""
        tokens = references.permute(0, 2, 3, 1).flatten(0, 2)  # 2 c h w -> (2 h w) c
        return torch.stack([self._split(self.to_k(tokens)), self._split(self.to_v(tokens))])

    def forward(
        self, video: Tensor, prepared: Tensor, first: int, clip_frames: int, elements: int
    ) -> Tensor:
        """See `ReferenceFusion`; the frames' places in the clip do not matter here."""
        key, value = prepared

        def attend(frames: Tensor) -> Summands:
            tokens = self.norm(frames).permute(0, 2, 3, 1)  # t c h w -> t h w c
            fused = attention(self._split(self.to_q(tokens.flatten(0, 2))), key, value)
            # 1 heads (t h w) d -> (t h w) c
            fused = self.to_out(fused[0].transpose(0, 1).flatten(1))
            return frames, fused.view(tokens.shape).permute(0, 3, 1, 2)

        return by_frames(attend, video, elements)

    def _split(self, tokens: Tensor) -> Tensor:
        # n (heads d) -> 1 heads n d
        return tokens.unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]


class ReferenceAddition(nn.Module):
    """The first and the last frame of the clip get the projected features of their key frame;
    others pass unchanged.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=1)

    def prepare(self, references: Tensor) -> Tensor:
        """What is added to the first and to the last frame, `(2, channels, height, width)`."""
        addition: Tensor = self.conv(references)
        return addition

    def forward(
        self, video: Tensor, prepared: Tensor, first: int, clip_frames: int, elements: int
    ) -> Tensor:
        """See `ReferenceFusion`."""
        for frame, addition in zip((0, clip_frames - 1), prepared, strict=True):
            if first <= frame < first + len(video):
                # in place: a copy of the video would be the decoder's largest tensor
                video[frame - first] += addition
        return video
