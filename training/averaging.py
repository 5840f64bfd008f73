"""Exponential moving average of weights: what is validated and shipped."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Follows a module's weights; young averages follow faster.

    Args:
        module: whose weights are followed, as far as they require gradients now.
        decay: share of the average that a step keeps, reached after about 10 / (1 - decay) steps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = module
        self.decay = decay
        self.steps = 0
        self.weights = {
            name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad
        }

    @torch.no_grad()
    def update(self) -> None:
        """Move the average toward the module's weights of now."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, parameter in self._learning():
            self.weights[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the module the averaged weights within a `with` block."""
        kept = {name: p.detach().clone() for name, p in self._learning()}
        self._load(self.weights)
        try:
            yield
        finally:
            self._load(kept)

    def state_dict(self) -> dict[str, object]:
        """Return what `load_state_dict` takes."""
        return {"steps": self.steps, "weights": self.weights}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue where another average was saved."""
        self.steps = int(state["steps"])  # type: ignore[call-overload]
        self.weights = dict(state["weights"])  # type: ignore[call-overload]

    @torch.no_grad()
    def _load(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self._learning():
            parameter.copy_(weights[name])

    def _learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """List the parameters that are followed."""
        return ((n, p) for n, p in self.module.named_parameters() if n in self.weights)
