"""Answers about the noise schedule and single sampling steps."""

import re

import numpy as np
import torch
from torch import Tensor

from model.guidance import classifier_free_guidance
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler, Spacing
from scripts.goldens.registry import Case, golden

ARRAY = re.compile(r"(?P<spacing>trailing|uniform)(?P<steps>\d+)_(?P<value>\w+)")
UPDATE = re.compile(
    r"S(?P<steps>\d+)_eta(?P<eta>[\d.]+)_cfg(?P<scale>[\d.]+)_r(?P<rescale>[\d.]+)_i(?P<index>\d+)_x"
)


def laid_out(spacing: Spacing, steps: int) -> DDIMRescaledScheduler:
    """A scheduler with its timesteps set."""
    scheduler = DDIMRescaledScheduler(timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    return scheduler


@golden("schedule")
def schedule(case: Case) -> dict[str, Tensor]:
    """The training arrays, and the sampling coefficients in ascending order of timesteps."""
    scheduler = DDIMRescaledScheduler()
    arrays = {
        "betas": scheduler.betas,
        "alphas_cumprod": scheduler.alphas_cumprod,
        "alphas_cumprod_prev": np.concatenate(
            [np.ones(1, np.float32), scheduler.alphas_cumprod[:-1]]
        ),
        "sqrt_alphas_cumprod": scheduler.sqrt_alphas_cumprod,
        "sqrt_one_minus_alphas_cumprod": scheduler.sqrt_one_minus_alphas_cumprod,
        "scale_arr": scheduler.scales,
    }
    outputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name in case["outputs"]:
        if match := ARRAY.fullmatch(name):
            sampler = laid_out(
                "trailing" if match["spacing"] == "trailing" else "uniform", int(match["steps"])
            )
            outputs[name] = _sampling_array(sampler, match["value"])
    return outputs


def _sampling_array(scheduler: DDIMRescaledScheduler, value: str) -> Tensor:
    if value == "t":
        return scheduler.timesteps.flip(0).int()
    steps = scheduler.steps.values()
    if match := re.fullmatch(r"(sigma|dir_radicand)_eta([\d.]+)", value):
        eta = float(match[2])
        return torch.tensor(
            [step.sigma(eta) if match[1] == "sigma" else step.radicand(eta) for step in steps]
        )
    return torch.tensor([getattr(step, value) for step in steps])


@golden("ddim_update")
def ddim_update(case: Case) -> dict[str, Tensor]:
    """Single steps with given predictions; the output's name says which step of which sampler."""
    sample, noise = case.input("upd_x"), case.input("upd_noise")
    conditional, unconditional = (
        0.7 * case.input("upd_vcond") + 0.1,
        0.5 * case.input("upd_vuncond"),
    )
    outputs = {}
    for name in case["outputs"]:
        if match := UPDATE.fullmatch(name):
            scheduler = laid_out("trailing", int(match["steps"]))
            prediction = classifier_free_guidance(
                conditional, unconditional, float(match["scale"]), float(match["rescale"])
            )
            timestep = scheduler.timesteps.flip(0)[int(match["index"])]
            step = scheduler.step(
                prediction, timestep, sample, eta=float(match["eta"]), variance_noise=noise
            )
            outputs[name] = step.prev_sample
            outputs[name + "0"] = step.pred_original_sample
    return outputs
