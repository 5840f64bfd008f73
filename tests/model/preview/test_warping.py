"""Warping: a flow says where each pixel comes from."""

import torch

from model.preview.warping import resize_flow, warp


def test_a_constant_flow_shifts_the_picture() -> None:
    """Each pixel takes the value two to its right and one below."""
    picture = torch.rand((1, 3, 8, 10), generator=torch.Generator().manual_seed(1))
    flow = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 8, 10)
    assert torch.allclose(warp(picture, flow)[..., :7, :8], picture[..., 1:, 2:], atol=1e-5)


def test_outside_repeats_the_border() -> None:
    """A flow beyond the edge finds the edge's own value."""
    picture = torch.arange(4.0).view(1, 1, 1, 4)
    flow = torch.zeros(1, 2, 1, 4)
    flow[:, 0] = 10
    assert torch.allclose(warp(picture, flow), torch.full((1, 1, 1, 4), 3.0))


def test_resizing_scales_the_vectors() -> None:
    """A picture of twice the width has twice the motion in x only."""
    flow = torch.ones(1, 4, 6, 5)
    larger = resize_flow(flow, (6, 10))
    assert larger.shape == (1, 4, 6, 10)
    assert larger[0, :, 0, 0].tolist() == [2, 1, 2, 1]
