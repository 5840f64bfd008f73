"""Spatial and temporal transformers, with separate cross-attention to text and image tokens.

Own blocks rather than diffusers' because of three savings that those hide: the keys and values of
the context are the same at every step and are computed once per job; the text's are the same for
every frame, so the frames of a clip are folded into one long query instead of copying keys for
each; and tokens stay in the order of channels-last frames, so that the spatial transformers copy
nothing and the temporal ones once.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from torch import Tensor, nn

TRANSFORMER_NORM_EPS = 1e-6  # the published transformers' GroupNorm; residual blocks use 1e-5


class ContextKeyValues(NamedTuple):
    """What one cross-attention needs of the context, each `(batch, heads, tokens, head_dim)`.

    The text's batch counts clips. The image's counts clips too where every frame sees all image
    tokens, and frames where each frame has its own.
    """

    text_key: Tensor
    text_value: Tensor
    image_key: Tensor
    image_value: Tensor


class Context(NamedTuple):
    """The prompt's tokens and the key frame's, split as the cross-attentions take them.

    Attributes:
        text: `(clips, 77, channels)`.
        image: `(clips · frames, tokens, channels)`, or `(clips, tokens, channels)` shared by all
            frames.
    """

    text: Tensor
    image: Tensor


class Attention(nn.Module):
    """Softmax attention; queries from one sequence, keys and values from the same or another
    one.
    """

    qkv_weight: Tensor | None

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.register_buffer("qkv_weight", None, persistent=False)

    def fuse_projections(self) -> None:
        """Let self-attention make query, key and value in one product.

        The three weights become views of the joined one, so it takes no memory until the module
        moves to another device. Change no weight afterwards.
        """
        projections = (self.to_q, self.to_k, self.to_v)
        self.qkv_weight = torch.cat([projection.weight.detach() for projection in projections])
        for projection, weight in zip(projections, self.qkv_weight.chunk(3), strict=True):
            projection.weight = nn.Parameter(weight, requires_grad=False)

    def split_heads(self, tokens: Tensor) -> Tensor:
        """`(batch, tokens, channels)` to `(batch, heads, tokens, head_dim)`."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Self-attention on `(batch, tokens, channels)`."""
        projected = (
            [to(hidden_states) for to in (self.to_q, self.to_k, self.to_v)]
            if self.qkv_weight is None
            else F.linear(hidden_states, self.qkv_weight).chunk(3, dim=-1)
        )
        query, key, value = (self.split_heads(tokens) for tokens in projected)
        attended = F.scaled_dot_product_attention(query, key, value)
        output: Tensor = self.to_out[0](merge_heads(attended))
        return output


class TextImageAttention(Attention):
    """Attention to text and to image tokens, each with a softmax of its own, added before the
    output projection.
    """

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__(channels, heads, context_channels)
        self.to_k_ip = nn.Linear(context_channels, channels, bias=False)
        self.to_v_ip = nn.Linear(context_channels, channels, bias=False)

    def key_values(self, context: Context) -> ContextKeyValues:
        """Project the context once; it does not change while a clip is sampled."""
        return ContextKeyValues(
            self.split_heads(self.to_k(context.text)),
            self.split_heads(self.to_v(context.text)),
            self.split_heads(self.to_k_ip(context.image)),
            self.split_heads(self.to_v_ip(context.image)),
        )

    def attend(self, hidden_states: Tensor, context: ContextKeyValues, num_frames: int) -> Tensor:
        """Attend to the context from every frame of every clip.

        Args:
            hidden_states: `(clips · frames, tokens, channels)`. The context may be of a multiple of
                these clips; then the queries are computed once and repeated.
            context: from `key_values`.
            num_frames: frames of one clip.

        Returns:
            `(context's clips · frames, tokens, channels)`.
        """
        query = repeat_clips(self.to_q(hidden_states), context.text_key.shape[0] * num_frames)
        text = self._attend_folded(query, context.text_key, context.text_value)
        image = self._attend_folded(query, context.image_key, context.image_value)
        output: Tensor = self.to_out[0](text + image)
        return output

    def _attend_folded(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention in which all frames that share keys are one long query."""
        folded = query.reshape(key.shape[0], -1, query.shape[-1])  # (b t) n c -> b (t n) c
        attended = F.scaled_dot_product_attention(self.split_heads(folded), key, value)
        return merge_heads(attended).reshape(query.shape)


class SpatialBlock(nn.Module):
    """Self-attention within a frame, attention to the context, gated feed-forward; each on its
    norm, each residual.
    """

    def __init__(self, channels: int, heads: int, context_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = TextImageAttention(channels, heads, context_channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels, activation_fn="geglu")

    def forward(self, tokens: Tensor, context: ContextKeyValues, num_frames: int) -> Tensor:
        """`(clips · frames, tokens, channels)` in; out with as many clips as the context has."""
        tokens = tokens + self.attn1(self.norm1(tokens))
        attended = self.attn2.attend(self.norm2(tokens), context, num_frames)
        tokens = repeat_clips(tokens, attended.shape[0]) + attended
        output: Tensor = tokens + self.ff(self.norm3(tokens))
        return output


class TemporalBlock(nn.Module):
    """As the spatial block, but both attentions look along time; no positions, no mask, no
    context.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels, activation_fn="geglu")

    def forward(self, tokens: Tensor) -> Tensor:
        """`(clips · pixels, frames, channels)` in and out."""
        tokens = tokens + self.attn1(self.norm1(tokens))
        tokens = tokens + self.attn2(self.norm2(tokens))
        output: Tensor = tokens + self.ff(self.norm3(tokens))
        return output


class SpatialTransformer(nn.Module):
    """Lets the pixels of each frame look at one another, at the prompt and at the key frame."""

    def __init__(self, channels: int, heads: int, context_channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_groups, channels, eps=TRANSFORMER_NORM_EPS)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([SpatialBlock(channels, heads, context_channels)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, hidden_states: Tensor, context: ContextKeyValues, num_frames: int) -> Tensor:
        """`(clips · frames, channels, height, width)` in; out with as many clips as the context
        has.
        """
        height = hidden_states.shape[2]
        # (b t) c h w -> (b t) (h w) c
        tokens = self.proj_in(self.norm(hidden_states).flatten(2).transpose(1, 2))
        for block in self.transformer_blocks:
            tokens = block(tokens, context, num_frames)
        update = self.proj_out(tokens).transpose(1, 2).unflatten(2, (height, -1))
        return repeat_clips(hidden_states, update.shape[0]) + update


class TemporalTransformer(nn.Module):
    """Lets each pixel look at itself in the other frames of its clip.

    `inner_channels` differs from `channels` only in the UNet's first one, which is published with 8
    heads on a width of its own.
    """

    def __init__(
        self, channels: int, heads: int, norm_groups: int, inner_channels: int | None = None
    ) -> None:
        super().__init__()
        inner_channels = inner_channels or channels
        self.norm = nn.GroupNorm(norm_groups, channels, eps=TRANSFORMER_NORM_EPS)
        self.proj_in = nn.Linear(channels, inner_channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(inner_channels, heads)])
        self.proj_out = nn.Linear(inner_channels, channels)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """`(clips · frames, channels, height, width)` in and out."""
        clips = frames_to_clips(hidden_states, num_frames)
        batch, _, _, pixels = clips.shape
        tokens = self.norm(clips).permute(0, 3, 2, 1).flatten(0, 1)  # b c t n -> (b n) t c
        tokens = self.proj_in(tokens)
        for block in self.transformer_blocks:
            tokens = block(tokens)
        update = self.proj_out(tokens).unflatten(0, (batch, pixels)).permute(0, 3, 2, 1)
        return clips_to_frames(clips + update, height=hidden_states.shape[2])


def merge_heads(attended: Tensor) -> Tensor:
    """`(batch, heads, tokens, head_dim)` to `(batch, tokens, channels)`."""
    return attended.transpose(1, 2).flatten(2)


def repeat_clips(frames: Tensor, batch: int) -> Tensor:
    """Repeat whole clips until the first axis is `batch` long: what two guidance branches share,
    once for each.
    """
    if frames.shape[0] == batch:
        return frames
    return frames.repeat(batch // frames.shape[0], *[1] * (frames.ndim - 1))


def frames_to_clips(frames: Tensor, num_frames: int) -> Tensor:
    """`(clips · frames, channels, height, width)` to `(clips, channels, frames, pixels)`.

    A view where the frames are channels-last, and channels-last again: so a norm over a clip and a
    convolution along time are the 2-D kinds, on data that never moves.
    """
    pixels_last = frames.permute(0, 2, 3, 1).flatten(1, 2)  # (b t) c h w -> (b t) n c
    return pixels_last.unflatten(0, (-1, num_frames)).permute(0, 3, 1, 2)


def clips_to_frames(clips: Tensor, height: int) -> Tensor:
    """`(clips, channels, frames, pixels)` back to `(clips · frames, channels, height, width)`."""
    return clips.permute(0, 2, 3, 1).flatten(0, 1).unflatten(1, (height, -1)).permute(0, 3, 1, 2)
