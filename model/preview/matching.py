"""Bilateral matching: score each straight motion from the first key to the last."""

import torch
from torch import Tensor

OUTSIDE = -40.0  # as a logit: far below any match, and small enough for the embedding


def displacements(radius: int, device: torch.device | None = None) -> Tensor:
    """List every displacement (x, y) of at most `radius` cells a side: `((2 · radius + 1)², 2)`."""
    steps = torch.arange(-radius, radius + 1, device=device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def bilateral_costs(first: Tensor, last: Tensor, positions: Tensor, radius: int) -> Tensor:
    """Compare features along every straight motion through each cell of the wanted drawing.

    For a cell p and a displacement d, the first drawing is read at p - round(t · d) and the last
    one at that place + d, so that d is exact and p is off by half a cell at most.

    Args:
        first: `(batch, channels, height, width)`, features of the first key drawing.
        last: the same for the last.
        positions: `(batch,)`, place in time t in (0, 1).
        radius: the largest displacement, in cells.

    Returns:
        `(batch, (2 · radius + 1)², height, width)`, dot products; OUTSIDE where a motion leaves
        the picture at either end.
    """
    batch, _, height, width = first.shape
    volume = first.flatten(2).transpose(1, 2) @ last.flatten(2)  # b (h w) (h w): from, to
    moves = displacements(radius, first.device)  # k 2
    back = (positions[:, None, None] * moves).round().long()  # b k 2: p - start
    start_x, end_x, inside_x = _ends(width, back[..., 0], moves[:, 0])  # b k w
    start_y, end_y, inside_y = _ends(height, back[..., 1], moves[:, 1])  # b k h
    cells = height * width
    index_x = start_x * cells + end_x
    index_y = (start_y * cells + end_y) * width
    index = index_y[..., :, None] + index_x[..., None, :]  # b k h w
    costs = volume.flatten(1).gather(1, index.flatten(1)).view(batch, -1, height, width)
    outside = ~(inside_y[..., :, None] & inside_x[..., None, :])
    masked: Tensor = costs.float().masked_fill(outside, OUTSIDE)
    return masked


def _ends(side: int, back: Tensor, moves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return along one axis where each motion through each cell starts and ends, within 0..side.

    The third result tells whether both ends are inside; all are `(batch, k, side)`.
    """
    start = torch.arange(side, device=back.device) - back[..., None]
    end = start + moves[:, None]
    inside = (start >= 0) & (start < side) & (end >= 0) & (end < side)
    return start.clamp(0, side - 1), end.clamp(0, side - 1), inside


def expected_displacement(log_probabilities: Tensor, radius: int) -> Tensor:
    """Average the displacements by their probability: `(batch, 2, height, width)`, in cells."""
    moves = displacements(radius, log_probabilities.device).to(log_probabilities.dtype)
    expected = moves.T @ log_probabilities.exp().flatten(2)  # 2 k @ b k (h w) -> b 2 (h w)
    return expected.unflatten(2, log_probabilities.shape[2:])
