"""DPM-Solver++ for ToonCrafter's schedule: near the result of 50 DDIM steps in a fourth of them.

The solver is diffusers'. It knows schedules whose signal and noise have squares that add up to 1
and that keep some signal everywhere. So latents are divided by the root of that sum on their way
in, and the step from pure noise is taken here: it is of first order in any solver, and exact.
"""

import numpy as np
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from torch import Tensor

from model.scheduling_ddim_rescaled import DDIMRescaledScheduler

# The latents end at the scale at which this number of DDIM steps leaves them.
USUAL_STEPS = 50


class FewStepSolver:
    """Takes the steps of one clip; none adds fresh noise.

    | here | paper | |
    | --- | --- | --- |
    | `signal` | α_t = √ᾱ_t · s_t | factor of the clean latents x_0 |
    | `deviation` | σ_t = √(1 - ᾱ_t) | factor of the noise ε |

    Args:
        scheduler: with its timesteps laid out.
    """

    def __init__(self, scheduler: DDIMRescaledScheduler) -> None:
        first, *others = reversed(scheduler.steps)
        self._following = dict(zip([first, *others], [*others, 0], strict=True))
        self._scheduler = scheduler
        self._signal = scheduler.sqrt_alphas_cumprod * scheduler.scales[: len(scheduler.betas)]
        self._deviation = scheduler.sqrt_one_minus_alphas_cumprod
        self._norm = np.hypot(self._signal, self._deviation)
        kept = (self._signal / self._norm) ** 2
        self._solver = DPMSolverMultistepScheduler(
            num_train_timesteps=len(kept),
            trained_betas=1 - kept / np.concatenate([[1.0], kept[:-1]]),
            prediction_type="sample",
            final_sigmas_type="sigma_min",
            euler_at_final=True,
        )
        if others:
            self._solver.set_timesteps(timesteps=others)
            self._solver.set_begin_index(0)

    def step(self, model_output: Tensor, timestep: int, sample: Tensor) -> DDIMSchedulerOutput:
        """Take the next step; arguments and result are those of `DDIMRescaledScheduler.step`.

        The steps have to come in their order.
        """
        step = self._scheduler.steps[timestep]
        noise = float(step.sqrt_alpha) * model_output + float(step.sqrt_one_minus_alpha) * sample
        clean = float(step.sqrt_alpha) * sample - float(step.sqrt_one_minus_alpha) * model_output
        clean = clean / float(step.scale)
        following = self._following[timestep]
        if timestep == next(iter(self._following)):
            previous = (
                float(self._signal[following]) * clean + float(self._deviation[following]) * noise
            )
        else:
            normed = sample / float(self._norm[timestep])
            solved = self._solver.step(clean, timestep, normed, return_dict=False)[0]
            previous = solved * float(self._norm[following])
        if following == 0:
            previous = previous * float(self._scheduler.final_scale(USUAL_STEPS))
        return DDIMSchedulerOutput(
            prev_sample=previous, pred_original_sample=clean * float(step.scale_prev)
        )
