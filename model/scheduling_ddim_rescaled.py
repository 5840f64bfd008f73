"""DDIM with zero terminal SNR, v-prediction and dynamically rescaled latents.

diffusers' `DDIMScheduler` differs in three ways that change the video: it has no dynamic rescale,
it takes the previous timestep to be `t - 1000 // steps` (wrong where the step count does not divide
1000), and at eta 1 it turns some step counts into NaN, as the original code does too (see
`Step.direction`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

Spacing = Literal["trailing", "uniform"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Step:
    """The coefficients of one sampling step, float32 as the original has them.

    | here | paper | |
    | --- | --- | --- |
    | `alpha`, `alpha_prev` | ᾱ_t, ᾱ_{t-1} | signal power before and after the step |
    | `sqrt_alpha`, `sqrt_one_minus_alpha` | √ᾱ_t, √(1 - ᾱ_t) | from the float64 schedule |
    | `sigma_unit` | σ_t / η | float64; σ_t is the fresh noise's standard deviation |
    | `scale`, `scale_prev` | s_t, s_{t-1} | dynamic rescale: the noised signal is s_t · x_0 |
    """

    alpha: np.float32
    alpha_prev: np.float32
    sqrt_alpha: np.float32
    sqrt_one_minus_alpha: np.float32
    sigma_unit: float
    scale: np.float32
    scale_prev: np.float32

    def sigma(self, eta: float) -> np.float32:
        """Standard deviation of the fresh noise."""
        return np.float32(eta * self.sigma_unit)

    def radicand(self, eta: float) -> np.float32:
        """1 - ᾱ_{t-1} - σ², every operation rounded to float32 as in the original.

        At t = 999 and eta 1 it is zero mathematically, and some 6e-8 to either side here.
        """
        return np.float32(np.float32(1) - self.alpha_prev) - self.sigma(eta) * self.sigma(eta)

    def direction(self, eta: float) -> np.float32:
        """The coefficient of the predicted noise. The original has no clamp: 12 step counts up to
        60 gave NaN.
        """
        return np.sqrt(np.maximum(self.radicand(eta), np.float32(0)))


class DDIMRescaledScheduler(SchedulerMixin, ConfigMixin):
    """The noise schedule of ToonCrafter and its sampling steps.

    Args:
        num_train_timesteps: length of the schedule.
        beta_start, beta_end: ends of the schedule, whose square roots are evenly spaced before the
            rescale to zero terminal SNR.
        rescale_end: the signal's scale falls from 1 to this value (dynamic rescale of
            DynamiCrafter).
        rescale_timesteps: the number of timesteps over which the scale falls.
        timestep_spacing: `trailing` starts at the last timestep, pure noise; `uniform` never visits
            it, and gives more steps than asked for where the count does not divide
            `num_train_timesteps`.
    """

    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        rescale_end: float = 0.7,
        rescale_timesteps: int = 400,
        timestep_spacing: Spacing = "trailing",
    ) -> None:
        betas = np.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps) ** 2
        betas = _zero_terminal_snr(betas)
        alphas_cumprod = np.cumprod(1 - betas)
        self.betas = betas.astype(np.float32)
        self.alphas_cumprod = alphas_cumprod.astype(np.float32)
        self.sqrt_alphas_cumprod = np.sqrt(alphas_cumprod).astype(np.float32)
        self.sqrt_one_minus_alphas_cumprod = np.sqrt(1 - alphas_cumprod).astype(np.float32)
        falling = np.linspace(1.0, rescale_end, rescale_timesteps)
        self.scales = np.concatenate([falling, np.full(num_train_timesteps, rescale_end)]).astype(
            np.float32
        )
        self.timesteps = torch.arange(num_train_timesteps).flip(0)
        self.steps: dict[int, Step] = {}

    def set_timesteps(
        self, num_inference_steps: int, device: str | torch.device | None = None
    ) -> None:
        """Lay out the sampling steps: `timesteps`, descending, on `device`, and the coefficients of
        each.

        Raises:
            ValueError: the count is not between 1 and `num_train_timesteps`, or `uniform` spacing
                cannot hold it.
        """
        timesteps = self._ascending_timesteps(num_inference_steps)
        self.steps = {
            timestep: self._step(timestep, previous)
            for timestep, previous in zip(timesteps, [None, *timesteps[:-1]], strict=True)
        }
        self.timesteps = torch.tensor(timesteps[::-1], dtype=torch.int64, device=device)

    def _ascending_timesteps(self, count: int) -> list[int]:
        total = self.config.num_train_timesteps
        if not 1 <= count <= total:
            raise ValueError(f"num_inference_steps has to be 1 to {total} but is {count}")
        if self.config.timestep_spacing == "trailing":
            # Accumulated like this, the exact halves of 48 steps round as elsewhere; multiples of
            # 1000 / 48 miss them.
            descending = np.round(np.arange(total, 0, -total / count))[:count].astype(int) - 1
            return [int(timestep) for timestep in descending[::-1]]
        timesteps = list(range(1, total + 1, total // count))
        if timesteps[-1] == total:
            raise ValueError(
                f"uniform spacing of {count} steps would need timestep {total}; the last is "
                f"{total - 1}"
            )
        return timesteps

    def final_scale(self, num_inference_steps: int) -> np.float32:
        """The dynamic rescale of the latents after these steps: that of the last timestep."""
        return np.float32(self.scales[self._ascending_timesteps(num_inference_steps)[0]])

    def _step(self, timestep: int, previous: int | None) -> Step:
        """`previous` is the next lower timestep visited; the last step goes to ᾱ_0, still not free
        of noise.
        """
        alpha = self.alphas_cumprod[timestep]
        alpha_prev = self.alphas_cumprod[previous or 0]
        # The original's mixed precision: the reciprocal in float32, everything else in float64.
        reciprocal = float(np.float32(1) / (np.float32(1) - alpha))
        variance = (1 - float(alpha_prev)) * reciprocal * (1 - float(alpha) / float(alpha_prev))
        return Step(
            alpha=alpha,
            alpha_prev=alpha_prev,
            sqrt_alpha=self.sqrt_alphas_cumprod[timestep],
            sqrt_one_minus_alpha=self.sqrt_one_minus_alphas_cumprod[timestep],
            sigma_unit=math.sqrt(variance),
            scale=self.scales[timestep],
            scale_prev=self.scales[timestep if previous is None else previous],
        )

    def step(
        self,
        model_output: Tensor,
        timestep: int | Tensor,
        sample: Tensor,
        eta: float = 1.0,
        generator: torch.Generator | None = None,
        variance_noise: Tensor | None = None,
    ) -> DDIMSchedulerOutput:
        """One step towards the clean latents, in float32.

        | here | paper | |
        | --- | --- | --- |
        | `model_output` | v | √ᾱ_t · ε - √(1 - ᾱ_t) · s_t · x_0 |
        | `noise` | ε | predicted noise |
        | `clean` | s_{t-1} · x_0 | predicted clean latents, rescaled for the step's end |

        Args:
            model_output: the prediction, guidance applied, of any shape.
            timestep: one of `timesteps`; a tensor on a GPU is waited for.
            sample: x_t, shaped like `model_output`.
            eta: share of fresh noise, 0 to 1; 0 is deterministic.
            generator: draws the fresh noise where `variance_noise` is not given.
            variance_noise: the fresh noise, standard normal.

        Returns:
            `prev_sample`, x_{t-1}, and `pred_original_sample`, the `clean` above; both in
            `sample`'s dtype.

        Raises:
            ValueError: `set_timesteps` laid out no step at this timestep.
        """
        step = self.steps.get(int(timestep))
        if step is None:
            raise ValueError(
                f"timestep has to be one of {sorted(self.steps)} but is {int(timestep)}"
            )
        prediction, noisy = model_output.float(), sample.float()
        noise = float(step.sqrt_alpha) * prediction + float(step.sqrt_one_minus_alpha) * noisy
        clean = float(step.sqrt_alpha) * noisy - float(step.sqrt_one_minus_alpha) * prediction
        clean = clean * float(step.scale_prev / step.scale)
        previous = float(np.sqrt(step.alpha_prev)) * clean + float(step.direction(eta)) * noise
        if eta > 0:
            if variance_noise is None:
                variance_noise = randn_tensor(
                    sample.shape, generator=generator, device=sample.device, dtype=torch.float32
                )
            previous = previous + float(step.sigma(eta)) * variance_noise
        return DDIMSchedulerOutput(
            prev_sample=previous.to(sample.dtype), pred_original_sample=clean.to(sample.dtype)
        )

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """x_t for training: √ᾱ_t · s_t · x_0 + √(1 - ᾱ_t) · ε, for one timestep per batch entry."""
        signal, deviation = self._training_coefficients(original_samples, timesteps)
        return signal * self._scaled(original_samples, timesteps) + deviation * noise

    def get_velocity(self, sample: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """v, what the UNet learns to predict: √ᾱ_t · ε - √(1 - ᾱ_t) · s_t · x_0, with `sample` the
        clean x_0.
        """
        signal, deviation = self._training_coefficients(sample, timesteps)
        return signal * noise - deviation * self._scaled(sample, timesteps)

    def _training_coefficients(self, like: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        return (
            _of_timesteps(self.sqrt_alphas_cumprod, timesteps, like),
            _of_timesteps(self.sqrt_one_minus_alphas_cumprod, timesteps, like),
        )

    def _scaled(self, clean: Tensor, timesteps: Tensor) -> Tensor:
        return clean * _of_timesteps(self.scales, timesteps, clean)


def _zero_terminal_snr(betas: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Betas such that the last timestep holds no signal (Lin et al. 2023, algorithm 1)."""
    sqrt_alphas_cumprod = np.sqrt(np.cumprod(1 - betas))
    first, last = sqrt_alphas_cumprod[0], sqrt_alphas_cumprod[-1]
    alphas_cumprod = ((sqrt_alphas_cumprod - last) * first / (first - last)) ** 2
    return 1 - alphas_cumprod / np.concatenate([[1.0], alphas_cumprod[:-1]])


def _of_timesteps(table: Floats, timesteps: Tensor, like: Tensor) -> Tensor:
    """The table's values at `timesteps`, one per batch entry, to be multiplied with `like`."""
    values = torch.from_numpy(table).to(like)[timesteps.to(like.device)]
    return values.view(-1, *[1] * (like.ndim - 1))
