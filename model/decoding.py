"""Decode latents into frames, the middle ones twice."""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.outputs import require_finite

TWO_PASS_MIN_FRAMES = 6  # below, the frames that the second pass replaces would not be in it


class DecodingMixin:
    """The pipeline's third stage, `decode`."""

    vae: AutoencoderKLDualRef

    def decode(
        self, latents: Tensor, references: Sequence[Tensor], two_pass: bool = True
    ) -> Tensor:
        """Turn latents into frames.

        The second pass decodes a clip without the frames next to the key frames, and gives the two
        middle frames.

        Args:
            latents: `(1, 4, frames, h, w)`, from `denoise`.
            references: of the clip's `Conditions`.
            two_pass: run the second pass.

        Returns:
            `(1, 3, frames, height, width)`, about [-1, 1], not clamped.

        Raises:
            NumericalError: the result is not finite.
        """
        latents = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        num_frames = latents.shape[2]
        video = self.vae.decode(latents, references)
        if two_pass and num_frames >= TWO_PASS_MIN_FRAMES:
            middle = num_frames // 2
            shorter = torch.cat([latents[:, :, :1], latents[:, :, 2:-2], latents[:, :, -1:]], dim=2)
            redrawn = self.vae.decode(shorter, references, keep=slice(middle - 2, middle))
            video = torch.cat(
                [video[:, :, : middle - 1], redrawn, video[:, :, middle + 1 :]], dim=2
            )
        return require_finite(video, "frames")
