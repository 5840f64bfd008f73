"""Bilateral matching: score each straight motion from the first key to the last."""

import torch
from torch import Tensor


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
        `(batch, (2 · radius + 1)², height, width)`, dot products; -1e4 where a motion leaves
        the picture at either end.
    """
    batch, _, height, width = first.shape
    volume = first.flatten(2).transpose(1, 2) @ last.flatten(2)  # b (h w) (h w): from, to
    moves = displacements(radius, first.device)  # k 2
    back = (positions[:, None, None] * moves).round().long()  # b k 2: p - start
    y = torch.arange(height, device=first.device)[:, None]
    x = torch.arange(width, device=first.device)
    start_x = x - back[:, :, 0, None, None]  # b k 1 w
    start_y = y - back[:, :, 1, None, None]  # b k h 1
    end_x = start_x + moves[:, 0, None, None]
    end_y = start_y + moves[:, 1, None, None]
    inside_x = (start_x >= 0) & (start_x < width) & (end_x >= 0) & (end_x < width)
    inside_y = (start_y >= 0) & (start_y < height) & (end_y >= 0) & (end_y < height)
    start = start_y.clamp(0, height - 1) * width + start_x.clamp(0, width - 1)
    end = end_y.clamp(0, height - 1) * width + end_x.clamp(0, width - 1)
    index = start * (height * width) + end  # b k h w
    costs = volume.flatten(1).gather(1, index.flatten(1)).view(batch, -1, height, width)
    return costs.float().masked_fill(~(inside_x & inside_y), -1e4)


def expected_displacement(costs: Tensor, radius: int) -> Tensor:
    """Average the displacements by their softmax: `(batch, 2, height, width)`, in cells."""
    moves = displacements(radius, costs.device).to(costs.dtype)
    return torch.einsum("bkhw,kc->bchw", costs.softmax(dim=1), moves)
