"""Backward warping: fetch each pixel of the wanted drawing from a key drawing."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Sample `picture` at each pixel's own position plus `flow`.

    Args:
        picture: `(batch, channels, height, width)`, any range.
        flow: `(batch, 2, height, width)`, x and y in pixels of `picture`.

    Returns:
        As `picture`, in float32. Positions outside repeat the border.
    """
    height, width = picture.shape[-2:]
    flow = flow.float()
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[None, :, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)[None, None, :]
    x = (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (rows + flow[:, 1]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack([x, y], dim=-1)  # (b h w 2), in [-1, 1] within the picture
    return F.grid_sample(picture.float(), grid, padding_mode="border", align_corners=True)


def resize_flow(flow: Tensor, size: Sequence[int]) -> Tensor:
    """Resize a flow field and rescale its vectors to pixels of the new size.

    Args:
        flow: `(batch, 2 · n, height, width)`, alternating x and y in pixels.
        size: new height and width.
    """
    height, width = flow.shape[-2:]
    if (height, width) == size:
        return flow
    ratio = flow.new_tensor([size[1] / width, size[0] / height]).repeat(flow.shape[1] // 2)
    resized = F.interpolate(flow, size=size, mode="bilinear", align_corners=False)
    return resized * ratio[:, None, None]
