"""The sampler: every step count gives numbers, and training's noise is what sampling takes away."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file
from torch import Tensor

from model.few_step_solver import USUAL_STEPS, FewStepSolver
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from testkit.servers import ROOT

FOLDER = ROOT / "tests" / "data" / "goldens"


def laid_out(steps: int, **config: str) -> DDIMRescaledScheduler:
    scheduler = DDIMRescaledScheduler(**config)
    scheduler.set_timesteps(steps)
    return scheduler


class TestSchedule:
    def test_ends_in_pure_noise(self) -> None:
        scheduler = DDIMRescaledScheduler()
        assert (scheduler.alphas_cumprod[-1], scheduler.betas[-1]) == (0, 1)

    @pytest.mark.parametrize("steps", [4, 10, 25, 50])
    def test_first_step_is_the_originals_to_the_bit(self, steps: int) -> None:
        """The stored limit is wider than the rounding that decides between a number and NaN
        there.
        """
        stored = load_file(FOLDER / "schedule.safetensors")[f"trailing{steps}_dir_radicand_eta1"]
        ours = np.array([step.radicand(1.0) for step in laid_out(steps).steps.values()], np.float32)
        assert np.array_equal(ours, stored.numpy())

    @pytest.mark.parametrize("steps", range(1, 61))
    def test_no_step_count_gives_nan(self, steps: int) -> None:
        """Twelve of these did in the original."""
        scheduler = laid_out(steps)
        assert len(scheduler.timesteps) == steps
        sample = torch.ones(1, 4, 2, 2, 2)
        for timestep in scheduler.timesteps:
            sample = scheduler.step(
                -sample, timestep, sample, variance_noise=torch.ones_like(sample)
            ).prev_sample
        assert sample.isfinite().all()

    def test_original_would_have_failed_where_the_radicand_is_negative(self) -> None:
        failing = [steps for steps in range(1, 61) if laid_out(steps).steps[999].radicand(1.0) < 0]
        assert failing == [7, 11, 14, 15, 20, 25, 33, 34, 35, 37, 38, 39]

    @pytest.mark.parametrize("steps", [0, -1, 1001])
    def test_impossible_counts_are_refused(self, steps: int) -> None:
        with pytest.raises(ValueError, match=f"has to be 1 to 1000 but is {steps}"):
            laid_out(steps)

    @pytest.mark.parametrize("steps", [3, 9, 27, 36, 37])
    def test_uniform_spacing_says_which_counts_it_cannot_hold(self, steps: int) -> None:
        with pytest.raises(ValueError, match="would need timestep 1000"):
            laid_out(steps, timestep_spacing="uniform")


class TestStep:
    def test_a_timestep_that_is_not_laid_out_is_refused(self) -> None:
        with pytest.raises(ValueError, match="but is 500"):
            laid_out(4).step(torch.zeros(1), 500, torch.zeros(1))

    def test_one_seed_gives_one_noise(self) -> None:
        scheduler, sample = laid_out(4), torch.zeros(1, 4, 2, 2, 2)
        first, second = (
            scheduler.step(
                sample, 999, sample, generator=torch.Generator().manual_seed(1)
            ).prev_sample
            for _ in range(2)
        )
        assert torch.equal(first, second)

    def test_eta_0_draws_nothing(self) -> None:
        scheduler, sample = laid_out(4), torch.ones(1, 4, 2, 2, 2)
        generator = torch.Generator().manual_seed(1)
        before = generator.get_state()
        scheduler.step(sample, 999, sample, eta=0.0, generator=generator)
        assert torch.equal(generator.get_state(), before)

    def test_a_true_prediction_recovers_the_clean_latents(self) -> None:
        """What training adds, a step with the exact v takes away, rescaled for its end."""
        scheduler = laid_out(50)
        clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=torch.Generator().manual_seed(2))
        timestep = scheduler.timesteps[20]
        noisy = scheduler.add_noise(clean, noise, timestep[None])
        velocity = scheduler.get_velocity(clean, noise, timestep[None])
        recovered = scheduler.step(velocity, timestep, noisy, eta=0.0).pred_original_sample
        scale = float(scheduler.steps[int(timestep)].scale_prev)
        torch.testing.assert_close(recovered, scale * clean)

    def test_config_survives_saving(self, tmp_path: object) -> None:
        DDIMRescaledScheduler(timestep_spacing="uniform").save_pretrained(str(tmp_path))
        assert (
            DDIMRescaledScheduler.from_pretrained(str(tmp_path)).config.timestep_spacing
            == "uniform"
        )


@pytest.mark.parametrize("steps", range(1, 61))
def test_trailing_timesteps_are_the_ones_that_diffusers_visits(steps: int) -> None:
    """Both mean the same spacing, exact halves included (48 steps have four)."""
    ours, theirs = DDIMRescaledScheduler(), DDIMScheduler(timestep_spacing="trailing")
    ours.set_timesteps(steps)
    theirs.set_timesteps(steps)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()


SHAPE = (1, 4, 2, 3, 5)
NOISE, CLEAN = (torch.randn(SHAPE, generator=torch.Generator().manual_seed(n)) for n in (0, 1))


def velocity(scheduler: DDIMRescaledScheduler, sample: Tensor, timestep: int) -> Tensor:
    """Of a network that knows the clean latents: x_t and them decide the noise."""
    step = scheduler.steps[timestep]
    signal, deviation = float(step.sqrt_alpha), float(step.sqrt_one_minus_alpha)
    scaled = float(step.scale) * CLEAN
    return signal * (sample - signal * scaled) / deviation - deviation * scaled


class TestFewStepSolver:
    """Exact where DDIM is, at the same end whatever the number of steps."""

    @pytest.mark.parametrize("steps", [1, 2, 3, 7, 12, 25, 60])
    def test_known_clean_latents_are_reached_at_the_usual_end(self, steps: int) -> None:
        """Whatever the number of steps: the scale is that after the usual one."""
        scheduler = DDIMRescaledScheduler()
        scheduler.set_timesteps(steps)
        solver, latents = FewStepSolver(scheduler), NOISE
        for timestep in reversed(scheduler.steps):
            stepped = solver.step(velocity(scheduler, latents, timestep), timestep, latents)
            latents = stepped.prev_sample
            scale = float(scheduler.steps[timestep].scale_prev)
            torch.testing.assert_close(
                stepped.pred_original_sample, scale * CLEAN, atol=1e-4, rtol=0
            )
        signal, deviation = (
            scheduler.sqrt_alphas_cumprod[0],
            scheduler.sqrt_one_minus_alphas_cumprod[0],
        )
        end = float(scheduler.final_scale(USUAL_STEPS))
        wanted = end * (float(signal) * CLEAN + float(deviation) * NOISE)
        torch.testing.assert_close(latents, wanted, atol=1e-4, rtol=0)

    def test_first_step_is_ddims(self) -> None:
        """From pure noise, where the library's solver would divide by no signal."""
        scheduler = DDIMRescaledScheduler()
        scheduler.set_timesteps(12)
        first = next(reversed(scheduler.steps))
        ours = FewStepSolver(scheduler).step(CLEAN, first, NOISE)
        theirs = scheduler.step(CLEAN, first, NOISE, eta=0.0)
        torch.testing.assert_close(ours.prev_sample, theirs.prev_sample, atol=1e-6, rtol=0)

    def test_final_scale_is_that_of_the_last_timestep(self) -> None:
        scheduler = DDIMRescaledScheduler()
        assert scheduler.final_scale(50) == np.float32(scheduler.scales[19])
        assert scheduler.final_scale(1) == np.float32(0.7)

    def test_pipeline_refuses_fresh_noise_with_it(self) -> None:
        pipeline = ToonCrafterPipeline.from_preset("tiny")
        drawing = np.zeros((64, 64, 3), np.uint8)
        with pytest.raises(
            ValueError, match=r"`eta` has to be 0 with the few-step solver but is 0\.5"
        ):
            pipeline(
                [drawing, drawing], height=64, width=64, num_frames=2, eta=0.5, solver="few-step"
            )
