"""A case's outputs against the stored ones."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from scripts import golden_recipe
from scripts.goldens.registry import Case

UINT8_DIFFERING = 0.01  # share of the values of a uint8 output that may differ, by 1 at most


@dataclass(frozen=True)
class Deviation:
    """How far one output is from the stored one.

    Attributes:
        error: largest absolute difference.
        share: of the tolerance; above 1 is out of tolerance, infinite where nothing may differ or a
            value is NaN.
    """

    output: str
    error: float
    share: float


def deviations(case: Case, outputs: Mapping[str, Tensor], folder: Path) -> list[Deviation]:
    """Compare every output that the case stores.

    Raises:
        ValueError: an output is missing or has another shape.
    """
    stored = load_file(folder / case["file"])
    found = []
    for name, spec in case["outputs"].items():
        if name not in outputs:
            raise ValueError(f"case {case.name}: no answer for output {name!r}")
        ours = _sampled(case, name, outputs[name].cpu())
        if ours.shape != stored[name].shape:
            raise ValueError(
                f"case {case.name}: {name} is {tuple(ours.shape)}, stored is "
                f"{tuple(stored[name].shape)}"
            )
        found.append(_deviation(name, ours, stored[name], spec.get("atol")))
    return found


def _sampled(case: Case, name: str, output: Tensor) -> Tensor:
    count = case.entry.get("sampled", {}).get(name)
    if count is None:
        return output
    positions = golden_recipe.sample_indices(
        f"{case.name}.{name}", output.numel(), count, case.seed
    )
    return output.flatten()[torch.from_numpy(positions)]


def _deviation(name: str, ours: Tensor, stored: Tensor, atol: float | None) -> Deviation:
    difference = (ours.double() - stored.double()).abs()
    error = difference.max().item()
    if math.isnan(error):
        return Deviation(name, error, math.inf)
    if atol:
        return Deviation(name, error, error / atol)
    if stored.dtype == torch.uint8:
        differing = (difference > 0).double().mean().item()
        return Deviation(name, error, differing / UINT8_DIFFERING if error <= 1 else math.inf)
    return Deviation(name, error, math.inf if error else 0.0)
