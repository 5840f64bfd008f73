"""The same clip by the published code's amount of work: what the pipeline's savings are measured
and tested against.

Sixteen pictures are encoded although two differ, guidance's branches run one after the other, the
context is projected at each step, nothing is kept from clip to clip, and both decoder passes decode
every frame.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.attention import ContextKeyValues
from model.autoencoder_kl_dualref import sample_posterior
from model.conditions import place_at_ends
from model.outputs import Conditions, require_finite
from model.pipeline_tooncrafter import ToonCrafterPipeline


class PlainPipeline(ToonCrafterPipeline):
    """The pipeline without what it saves; `PlainPipeline(**pipeline.components)` shares all
    weights.
    """

    def encode_unconditional_context(self, negative_prompt: str) -> Tensor:
        """Encoded for every clip."""
        return self.encode_context(negative_prompt, torch.zeros(1, 3, 224, 224))

    def encode_key_frames(
        self, pictures: Tensor, num_frames: int, posterior_noise: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Encode one picture per frame; the references are left as hidden states."""
        first, last = pictures.to(self.vae.dtype).split(1)
        half = num_frames // 2
        moments, hidden_states = self.vae.encode(
            torch.cat([first.repeat(half, 1, 1, 1), last.repeat(half, 1, 1, 1)])
        )
        latents = (
            sample_posterior(moments.float(), posterior_noise) * self.vae.config.scaling_factor
        )
        return place_at_ends(latents[[0, -1]], num_frames), [
            states[[0, -1]] for states in hidden_states
        ]

    def predict(
        self,
        conditions: Conditions,
        latents: Tensor,
        timestep: Tensor,
        context: Sequence[ContextKeyValues],
        frame_stride: Tensor,
        control_residuals: Sequence[Tensor] | None,
    ) -> Tensor:
        """One branch after the other, each from its context's tokens."""
        sample = torch.cat([latents, conditions.key_latents], dim=1).to(self.unet.dtype)
        branches = conditions.context.split(1)
        controls = [None] * len(branches)
        if control_residuals is not None:
            controls = list(
                zip(*(residual.chunk(len(branches)) for residual in control_residuals), strict=True)
            )
        return torch.cat(
            [
                self.unet(sample, timestep, branch, frame_stride, control)
                for branch, control in zip(branches, controls, strict=True)
            ]
        )

    def decode(
        self, latents: Tensor, references: Sequence[Tensor], two_pass: bool = True
    ) -> Tensor:
        """Both passes decode every frame, each with keys and values of its own."""
        latents = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        middle = latents.shape[2] // 2
        video = self.vae.decode(latents, self.vae.prepare_references(references))
        if two_pass:
            shorter = torch.cat([latents[:, :, :1], latents[:, :, 2:-2], latents[:, :, -1:]], dim=2)
            redrawn = self.vae.decode(shorter, self.vae.prepare_references(references))
            video = torch.cat(
                [
                    video[:, :, : middle - 1],
                    redrawn[:, :, middle - 2 : middle],
                    video[:, :, middle + 1 :],
                ],
                dim=2,
            )
        return require_finite(video, "frames")
