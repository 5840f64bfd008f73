"""The denoising network: noisy latents, key-frame latents and context to a prediction."""

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from model.attention import (
    Attention,
    Context,
    ContextKeyValues,
    TemporalTransformer,
    TextImageAttention,
    repeat_clips,
)
from model.embeddings import ClipEmbedding
from model.resnet import RESIDUAL_NORM_EPS, ResidualBlock
from model.unet_blocks import DownBlock, MiddleBlock, UpBlock, VideoLayer


class ToonCrafterUNet(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """UNet over space and time that predicts v for a whole clip at once.

    Args:
        in_channels: of the noisy latents and the key-frame latents together.
        out_channels: of the prediction.
        block_out_channels: width of each resolution, the highest first.
        layers_per_block: residual blocks of each resolution on the way down; the way up has one
            more.
        attention_levels: which resolutions have transformers; the middle always has.
        attention_head_dim: width of one attention head.
        init_attention_heads: heads of the temporal transformer right after the first convolution.
        cross_attention_dim: width of the context.
        text_tokens: how many tokens at the start of the context are the prompt's.
        image_tokens_per_frame: how many of the others belong to one frame.
        norm_num_groups: of every group norm.
        default_frame_stride: the frame stride where none is given.
    """

    _repeated_blocks = ("VideoLayer",)
    _no_split_modules = ("VideoLayer",)

    @register_to_config
    def __init__(
        self,
        in_channels: int = 8,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention_levels: tuple[bool, ...] = (True, True, True, False),
        attention_head_dim: int = 64,
        init_attention_heads: int = 8,
        cross_attention_dim: int = 1024,
        text_tokens: int = 77,
        image_tokens_per_frame: int = 16,
        norm_num_groups: int = 32,
        default_frame_stride: int = 24,
    ) -> None:
        super().__init__()
        if len(attention_levels) != len(block_out_channels):
            raise ValueError(
                f"`attention_levels` has to name each of the {len(block_out_channels)} levels of "
                f"`block_out_channels` but has {len(attention_levels)} entries"
            )
        base, top = block_out_channels[0], block_out_channels[-1]
        self.embedding = ClipEmbedding(base)
        self.conv_in = nn.Conv2d(in_channels, base, kernel_size=3, padding=1)
        self.init_attention = TemporalTransformer(
            base,
            init_attention_heads,
            norm_num_groups,
            inner_channels=init_attention_heads * attention_head_dim,
        )

        def layer(inputs: int, outputs: int, attention: bool) -> VideoLayer:
            return VideoLayer(
                inputs,
                outputs,
                embedding_channels=4 * base,
                norm_groups=norm_num_groups,
                heads=outputs // attention_head_dim if attention else 0,
                context_channels=cross_attention_dim,
            )

        levels = list(zip(block_out_channels, attention_levels, strict=True))
        self.down_blocks = nn.ModuleList()
        saved = [base]  # widths of the states that the way up takes back
        for level, (width, attention) in enumerate(levels):
            last = level == len(levels) - 1
            inputs = [saved[-1]] + [width] * (layers_per_block - 1)
            self.down_blocks.append(
                DownBlock([layer(i, width, attention) for i in inputs], None if last else width)
            )
            saved += [width] * (layers_per_block if last else layers_per_block + 1)

        self.middle_block = MiddleBlock(
            layer(top, top, attention=True), ResidualBlock(top, top, 4 * base, norm_num_groups)
        )

        self.up_blocks = nn.ModuleList()
        current = top
        for level, (width, attention) in reversed(list(enumerate(levels))):
            layers = []
            for _ in range(layers_per_block + 1):
                layers.append(layer(current + saved.pop(), width, attention))
                current = width
            self.up_blocks.append(UpBlock(layers, width if level > 0 else None))

        self.norm_out = nn.GroupNorm(norm_num_groups, base, eps=RESIDUAL_NORM_EPS)
        self.conv_out = nn.Conv2d(base, out_channels, kernel_size=3, padding=1)

    def fuse_qkv_projections(self) -> None:
        """Let every self-attention make query, key and value in one product."""
        for module in self.modules():
            if isinstance(module, Attention) and not isinstance(module, TextImageAttention):
                module.fuse_projections()

    def split_context(self, context: Tensor, num_frames: int) -> Context:
        """Split `(clips, tokens, channels)` into the prompt's tokens and each frame's image tokens.

        Where the image tokens are not exactly `image_tokens_per_frame` for each frame, every frame
        sees all of them: so the published weights, made for 16 frames, also run with other numbers
        of frames.
        """
        text, image = context.tensor_split((self.config.text_tokens,), dim=1)
        if image.shape[1] == num_frames * self.config.image_tokens_per_frame:
            image = image.unflatten(1, (num_frames, -1)).flatten(0, 1)  # b (t n) c -> (b t) n c
        return Context(text, image)

    @apply_forward_hook  # it runs before `forward`: CPU offload has to bring the weights for it too
    def project_context(self, context: Tensor, num_frames: int) -> list[ContextKeyValues]:
        """Keys and values of every cross-attention, for `forward`: the same at each step, so made
        once per job.

        Args:
            context: `(clips, tokens, cross_attention_dim)`, text tokens first.
            num_frames: frames of each clip.
        """
        split = self.split_context(context, num_frames)
        return [
            module.key_values(split)
            for block in [*self.down_blocks, self.middle_block, *self.up_blocks]
            for module in block.modules()
            if isinstance(module, TextImageAttention)
        ]

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        context: Tensor | Sequence[ContextKeyValues],
        frame_stride: Tensor | None = None,
        control_residuals: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Predict v.

        The context may be of a multiple of the sample's clips, the branches of guidance one after
        the other. Then everything before the first look at the context is computed once for all
        branches.

        Args:
            sample: `(clips, in_channels, frames, height, width)`, noisy latents and key-frame
                latents joined.
            timestep: `(clips,)` or a single one for all.
            context: `(contexts, tokens, cross_attention_dim)`, or what `project_context` made of
                it.
            frame_stride: `(clips,)` or a single one for all; `default_frame_stride` where not
                given.
            control_residuals: of a sketch encoder, one `(contexts · frames, channels, h, w)` for
                each saved state of the way down and one for the middle.

        Returns:
            `(contexts, out_channels, frames, height, width)`.
        """
        clips, _, num_frames = sample.shape[:3]
        projected: Sequence[ContextKeyValues] = (
            self.project_context(context, num_frames) if isinstance(context, Tensor) else context
        )
        contexts = iter(projected)
        branches = projected[0].text_key.shape[0] * num_frames
        if frame_stride is None:
            frame_stride = timestep.new_full(
                (1,), self.config.default_frame_stride, dtype=torch.long
            )

        # 1. what holds for a whole clip, repeated for its frames
        embedding = self.embedding(timestep.expand(clips), frame_stride.expand(clips))
        embedding = repeat_clips(embedding.repeat_interleave(num_frames, dim=0), branches)

        # 2. down, keeping what the way up will look back at
        frames = sample.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        hidden_states = self.init_attention(self.conv_in(frames), num_frames)
        saved = [hidden_states]
        for block in self.down_blocks:
            saved += block(saved[-1], embedding, num_frames, contexts)

        # 3. middle
        hidden_states = self.middle_block(saved[-1], embedding, num_frames, contexts)
        if control_residuals is not None:
            *down_residuals, middle_residual = control_residuals
            saved = [
                repeat_clips(state, branches) + add
                for state, add in zip(saved, down_residuals, strict=True)
            ]
            hidden_states = hidden_states + middle_residual

        # 4. up
        for block in self.up_blocks:
            hidden_states = block(hidden_states, saved, embedding, num_frames, contexts)

        # 5. out
        prediction: Tensor = self.conv_out(nn.functional.silu(self.norm_out(hidden_states)))
        return prediction.unflatten(0, (-1, num_frames)).transpose(1, 2)
