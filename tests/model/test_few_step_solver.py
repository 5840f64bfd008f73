"""The few-step solver: exact where DDIM is, and nearer to many steps with fewer of them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from model.few_step_solver import USUAL_STEPS, FewStepSolver
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler

SHAPE = (1, 4, 2, 3, 5)
NOISE, CLEAN = (torch.randn(SHAPE, generator=torch.Generator().manual_seed(n)) for n in (0, 1))


def velocity(scheduler: DDIMRescaledScheduler, sample: Tensor, timestep: int) -> Tensor:
    """Of a network that knows the clean latents: x_t and them decide the noise."""
    step = scheduler.steps[timestep]
    signal, deviation = float(step.sqrt_alpha), float(step.sqrt_one_minus_alpha)
    scaled = float(step.scale) * CLEAN
    return signal * (sample - signal * scaled) / deviation - deviation * scaled


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 12, 25, 60])
def test_known_clean_latents_are_reached_at_the_usual_end(steps: int) -> None:
    """Whatever the number of steps: the scale is that after the usual one."""
    scheduler = DDIMRescaledScheduler()
    scheduler.set_timesteps(steps)
    solver, latents = FewStepSolver(scheduler), NOISE
    for timestep in reversed(scheduler.steps):
        stepped = solver.step(velocity(scheduler, latents, timestep), timestep, latents)
        latents = stepped.prev_sample
        scale = float(scheduler.steps[timestep].scale_prev)
        torch.testing.assert_close(stepped.pred_original_sample, scale * CLEAN, atol=1e-4, rtol=0)
    signal, deviation = scheduler.sqrt_alphas_cumprod[0], scheduler.sqrt_one_minus_alphas_cumprod[0]
    end = float(scheduler.final_scale(USUAL_STEPS))
    wanted = end * (float(signal) * CLEAN + float(deviation) * NOISE)
    torch.testing.assert_close(latents, wanted, atol=1e-4, rtol=0)


def test_first_step_is_ddims() -> None:
    """From pure noise, where the library's solver would divide by no signal."""
    scheduler = DDIMRescaledScheduler()
    scheduler.set_timesteps(12)
    first = next(reversed(scheduler.steps))
    ours = FewStepSolver(scheduler).step(CLEAN, first, NOISE)
    theirs = scheduler.step(CLEAN, first, NOISE, eta=0.0)
    torch.testing.assert_close(ours.prev_sample, theirs.prev_sample, atol=1e-6, rtol=0)


def test_final_scale_is_that_of_the_last_timestep() -> None:
    scheduler = DDIMRescaledScheduler()
    assert scheduler.final_scale(50) == np.float32(scheduler.scales[19])
    assert scheduler.final_scale(1) == np.float32(0.7)


def test_pipeline_refuses_fresh_noise_with_it() -> None:
    pipeline = ToonCrafterPipeline.from_preset("tiny")
    drawing = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match=r"`eta` has to be 0 with the few-step solver but is 0\.5"):
        pipeline([drawing, drawing], height=64, width=64, num_frames=2, eta=0.5, solver="few-step")
