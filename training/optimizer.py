"""Muon for convolutions and matrices, AdamW for everything else."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic coefficients of Jordan et al., "Muon", 2024
ADAM_BETAS = (0.9, 0.95)


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for hidden weights; plain AdamW for edges, biases and norms.

    Args:
        modules: what is trained; parameters without gradient are left out.
        lr: of Muon, the spectral norm of one step on a square matrix.
        adam_lr: of AdamW.
        weight_decay: of both, multiplied by the learning rate.
        edges: parts of names of weights that AdamW trains (first and last layers).
    """

    def __init__(
        self,
        modules: Iterable[nn.Module],
        lr: float = 0.01,
        adam_lr: float = 1e-3,
        weight_decay: float = 0.01,
        edges: tuple[str, ...] = (),
    ) -> None:
        hidden: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for module in modules:
            for name, parameter in module.named_parameters():
                if not parameter.requires_grad:
                    continue
                is_hidden = parameter.ndim >= 2 and not any(edge in name for edge in edges)
                (hidden if is_hidden else others).append(parameter)
        groups = [
            {"params": hidden, "lr": lr, "base_lr": lr, "is_muon": True},
            {"params": others, "lr": adam_lr, "base_lr": adam_lr, "is_muon": False},
        ]
        groups = [group for group in groups if group["params"]]
        super().__init__(groups, {"weight_decay": weight_decay})

    def set_share(self, share: float) -> None:
        """Set the learning rates to a share of what the optimizer was made with."""
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * share

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            update = self._muon_update if group["is_muon"] else self._adam_update
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, parameter.grad), alpha=-group["lr"])

    def _muon_update(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 0.05)
        matrix = torch.lerp(gradient, state["momentum"], 0.95).flatten(1)  # Nesterov
        rows, columns = matrix.shape
        return orthogonalised(matrix).view_as(parameter) * max(1, rows / columns) ** 0.5

    def _adam_update(self, parameter: nn.Parameter, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if "step" not in state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - ADAM_BETAS[0])
        state["square"].lerp_(gradient.square(), 1 - ADAM_BETAS[1])
        mean = state["mean"] / (1 - ADAM_BETAS[0] ** state["step"])
        square = state["square"] / (1 - ADAM_BETAS[1] ** state["step"])
        return mean / (square.sqrt() + 1e-8)


def orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Bring all singular values near 1 by Newton-Schulz iterations in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)
