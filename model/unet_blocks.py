"""Down, middle and up blocks of the UNet.

Hidden states are frames, `(clips · frames, channels, height, width)`. A block takes the keys and
values of its cross-attentions from an iterator, one for each of its spatial transformers, in the
order in which they run.
"""

from collections.abc import Iterator

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from model.attention import ContextKeyValues, SpatialTransformer, TemporalTransformer, repeat_clips
from model.resnet import ResidualBlock

ContextSource = Iterator[ContextKeyValues]


class VideoLayer(nn.Module):
    """A residual block and, at the levels that have attention, a spatial and a temporal
    transformer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        embedding_channels: int,
        norm_groups: int,
        heads: int = 0,
        context_channels: int = 0,
    ) -> None:
        """`heads=0` leaves the transformers out."""
        super().__init__()
        self.residual = ResidualBlock(in_channels, out_channels, embedding_channels, norm_groups)
        self.spatial: SpatialTransformer | None = None
        self.temporal: TemporalTransformer | None = None
        if heads:
            self.spatial = SpatialTransformer(out_channels, heads, context_channels, norm_groups)
            self.temporal = TemporalTransformer(out_channels, heads, norm_groups)

    def forward(
        self,
        hidden_states: Tensor,
        embedding: Tensor,
        num_frames: int,
        context: ContextKeyValues | None,
    ) -> Tensor:
        """Return `out_channels` wide frames, with as many clips as the context has where there is
        attention.
        """
        hidden_states = self.residual(
            hidden_states, embedding[: hidden_states.shape[0]], num_frames
        )
        if self.spatial is not None and self.temporal is not None:
            hidden_states = self.spatial(hidden_states, context, num_frames)
            hidden_states = self.temporal(hidden_states, num_frames)
        return hidden_states


class DownBlock(nn.Module):
    """Layers of one resolution, then a step down to the next."""

    def __init__(self, layers: list[VideoLayer], downsample_channels: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.downsampler = (
            Downsample2D(downsample_channels, use_conv=True, padding=1, name="op")
            if downsample_channels is not None
            else None
        )

    def forward(
        self, hidden_states: Tensor, embedding: Tensor, num_frames: int, contexts: ContextSource
    ) -> list[Tensor]:
        """Return every state that the way up looks back at; the last one goes on."""
        states = []
        for layer in self.layers:
            hidden_states = layer(
                hidden_states, embedding, num_frames, next_context(layer, contexts)
            )
            states.append(hidden_states)
        if self.downsampler is not None:
            states.append(self.downsampler(hidden_states))
        return states


class MiddleBlock(nn.Module):
    """A layer with attention and one more residual block, at the lowest resolution."""

    def __init__(self, layer: VideoLayer, residual: ResidualBlock) -> None:
        super().__init__()
        self.layer = layer
        self.residual = residual

    def forward(
        self, hidden_states: Tensor, embedding: Tensor, num_frames: int, contexts: ContextSource
    ) -> Tensor:
        """Same shape in and out."""
        hidden_states = self.layer(
            hidden_states, embedding, num_frames, next_context(self.layer, contexts)
        )
        output: Tensor = self.residual(hidden_states, embedding, num_frames)
        return output


class UpBlock(nn.Module):
    """Layers of one resolution, each joined with a saved state of the way down, then a step up."""

    def __init__(self, layers: list[VideoLayer], upsample_channels: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.upsampler = (
            Upsample2D(upsample_channels, use_conv=True) if upsample_channels is not None else None
        )

    def forward(
        self,
        hidden_states: Tensor,
        saved: list[Tensor],
        embedding: Tensor,
        num_frames: int,
        contexts: ContextSource,
    ) -> Tensor:
        """Take one state per layer from the end of `saved`."""
        for layer in self.layers:
            joined = torch.cat(
                [hidden_states, repeat_clips(saved.pop(), hidden_states.shape[0])], dim=1
            )
            hidden_states = layer(joined, embedding, num_frames, next_context(layer, contexts))
        if self.upsampler is not None:
            hidden_states = self.upsampler(hidden_states)
        return hidden_states


def next_context(layer: nn.Module, contexts: ContextSource) -> ContextKeyValues | None:
    """The layer's keys and values; none for a layer without attention."""
    return next(contexts) if layer.spatial is not None else None
