"""Line drawings to residuals for the UNet: a ControlNet over frames, with no layers along time."""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn


class SketchEncoder(ModelMixin, ConfigMixin):
    """Steers frames by drawings of them; a frame without a drawing has an empty one.

    Args:
        in_channels: of the noisy latents.
        block_out_channels: width of each resolution; the UNet's, since its states receive the
            residuals.
        layers_per_block: residual blocks of each resolution; the UNet's.
        attention_levels: which resolutions have a transformer; the middle always has.
        attention_head_dim: width of one attention head.
        cross_attention_dim: width of the context.
        hint_channels: widths of the convolutions on a drawing; each after the first halves its
            size.
        norm_num_groups: of every group norm.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention_levels: tuple[bool, ...] = (True, True, True, False),
        attention_head_dim: int = 64,
        cross_attention_dim: int = 1024,
        hint_channels: tuple[int, ...] = (16, 32, 96, 256),
        norm_num_groups: int = 32,
    ) -> None:
        super().__init__()
        self.network = ControlNetModel(
            in_channels=in_channels,
            conditioning_channels=1,
            block_out_channels=tuple(block_out_channels),
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attention_levels
            ),
            layers_per_block=layers_per_block,
            # the library's `attention_head_dim` is the number of heads
            attention_head_dim=tuple(width // attention_head_dim for width in block_out_channels),
            cross_attention_dim=cross_attention_dim,
            conditioning_embedding_out_channels=tuple(hint_channels),
            norm_num_groups=norm_num_groups,
            use_linear_projection=True,
        )
        # A drawing is the same at every step: it is embedded once per job, and the network takes it
        # embedded.
        self.hint_embedding = self.network.controlnet_cond_embedding
        self.network.controlnet_cond_embedding = nn.Identity()

    @apply_forward_hook  # it runs before `forward`: CPU offload has to bring the weights for it too
    def embed_hint(self, hint: Tensor) -> Tensor:
        """Bring drawings to the latents' size.

        Args:
            hint: `(frames, 1, height, width)` in [0, 1], lines bright on black.

        Returns:
            `(frames, channels, height / 8, width / 8)`, for `forward`.
        """
        embedded: Tensor = self.hint_embedding(hint)
        return embedded

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        context: Tensor,
        hint: Tensor,
        control_scale: float = 1.0,
    ) -> list[Tensor]:
        """Residuals for `ToonCrafterUNet.forward`.

        Args:
            latents: `(clips, channels, frames, height, width)`, the noisy ones only.
            timestep: `(clips,)` or a single one for all.
            context: `(contexts, tokens, cross_attention_dim)`, which every frame attends to as a
                whole; a multiple of the clips, the branches of guidance one after the other.
            hint: `(frames, channels, height, width)` from `embed_hint`, the same for every clip.
            control_scale: factor on every residual.

        Returns:
            One `(contexts · frames, channels, h, w)` for each state that the UNet saves on its way
            down, and the middle's last.
        """
        num_frames = latents.shape[2]
        frames = (
            latents.transpose(1, 2)
            .repeat(context.shape[0] // latents.shape[0], 1, 1, 1, 1)
            .flatten(0, 1)
        )
        down, middle = self.network(
            frames.contiguous(memory_format=torch.channels_last),
            timestep.expand(latents.shape[0])
            .repeat(context.shape[0] // latents.shape[0])
            .repeat_interleave(num_frames),
            context.repeat_interleave(num_frames, dim=0),
            hint.repeat(context.shape[0], 1, 1, 1),
            conditioning_scale=control_scale,
            return_dict=False,
        )
        return [*down, middle]
