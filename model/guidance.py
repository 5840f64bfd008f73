"""Classifier-free guidance with the rescale that keeps its contrast in bounds."""

import torch
from torch import Tensor


def classifier_free_guidance(
    conditional: Tensor, unconditional: Tensor, guidance_scale: float, guidance_rescale: float = 0.0
) -> Tensor:
    """Push a prediction away from the unconditional one.

    Guidance grows the prediction's spread, which shows as over-exposed frames. `guidance_rescale`
    mixes in the prediction brought back to the conditional spread (Lin et al. 2024, "Common
    diffusion noise schedules and sample steps are flawed", section 3.4). The arithmetic is float32
    whatever comes in: standard deviations over a whole clip lose too much in half precision.

    Args:
        conditional: `(batch, channels, frames, height, width)`, any float type.
        unconditional: same shape.
        guidance_scale: 1.0 returns `conditional` unchanged and nothing is rescaled.
        guidance_rescale: share of the rescaled prediction, 0 to 1.

    Returns:
        The guided prediction, float32.
    """
    conditional = conditional.float()
    if guidance_scale == 1.0:
        return conditional
    unconditional = unconditional.float()
    guided = unconditional + guidance_scale * (conditional - unconditional)
    if guidance_rescale > 0.0:
        axes = list(range(1, guided.ndim))
        spread = torch.std(conditional, dim=axes, keepdim=True) / torch.std(
            guided, dim=axes, keepdim=True
        )
        guided = guidance_rescale * (guided * spread) + (1.0 - guidance_rescale) * guided
    return guided
