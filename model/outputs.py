"""What the pipeline's stages hand on, and how they fail."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.outputs import BaseOutput
from torch import Tensor


class NumericalError(ArithmeticError):
    """The numbers of a clip are no longer finite; the message says at which stage."""


@dataclass
class ToonCrafterPipelineOutput(BaseOutput):
    """A clip.

    Attributes:
        frames: uint8 `(frames, height, width, 3)` RGB; with `output_type="pt"` a tensor `(1, 3,
            frames, height, width)`, about [-1, 1] and not clamped; with `"latent"` `(1, 4, frames,
            h, w)`.
    """

    frames: Any


@dataclass(frozen=True)
class Conditions:
    """All that the key frames and the prompt say about a clip.

    Attributes:
        context: `(branches, tokens, channels)`; the conditional branch, then guidance's other one.
        key_latents: `(1, 4, frames, h, w)`, the two key frames' latents at both ends of zeros.
        references: what the decoder wants of the key frames, from
            `AutoencoderKLDualRef.prepare_references`.
    """

    context: Tensor
    key_latents: Tensor
    references: list[Tensor]


def require_finite(values: Tensor, name: str) -> Tensor:
    """Hand on `values`.

    Raises:
        NumericalError: one of them is NaN or infinite.
    """
    if not torch.isfinite(values).all():
        broken = (~torch.isfinite(values)).float().mean().item()
        raise NumericalError(
            f"{name} have to be finite, but {broken:.1%} of their values are NaN or infinite"
        )
    return values
