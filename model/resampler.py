"""From the image encoder's tokens to the context of each frame."""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor


class ImageResampler(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Perceiver resampler: learned queries, a fixed number per frame, read what the key frame
    shows.

    Args:
        embedding_channels: width of the image encoder's tokens.
        hidden_channels: width inside.
        output_channels: width of the context.
        depth: layers.
        heads, head_dim: of the attention.
        num_frames: frames that have queries of their own; fixed by the weights.
        tokens_per_frame: queries of one frame.
        feed_forward_ratio: hidden width of the feed-forward layers over `hidden_channels`.
    """

    @register_to_config
    def __init__(
        self,
        embedding_channels: int = 1280,
        hidden_channels: int = 1024,
        output_channels: int = 1024,
        depth: int = 4,
        heads: int = 12,
        head_dim: int = 64,
        num_frames: int = 16,
        tokens_per_frame: int = 16,
        feed_forward_ratio: int = 4,
    ) -> None:
        super().__init__()
        self.projection = IPAdapterPlusImageProjection(
            embed_dims=embedding_channels,
            output_dims=output_channels,
            hidden_dims=hidden_channels,
            depth=depth,
            dim_head=head_dim,
            heads=heads,
            num_queries=num_frames * tokens_per_frame,
            ffn_ratio=feed_forward_ratio,
        )

    def forward(self, image_tokens: Tensor) -> Tensor:
        """Resample `(batch, tokens, embedding_channels)`.

        Returns:
            `(batch, num_frames · tokens_per_frame, output_channels)`, the tokens of one frame side
            by side.
        """
        output: Tensor = self.projection(image_tokens)
        return output
