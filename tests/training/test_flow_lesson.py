"""The flow lesson's loss: zero for the truth, more for everything else."""

import numpy as np
import torch

from model.preview import FlowLevels
from training.data.clips import World, random_clip, sample
from training.data.motion import Manner
from training.lessons.flow import collate, flow_loss, matching_loss, psnr
from training.lessons.lesson import Batch


def batch() -> Batch:
    world = World(Manner(40.0), comes_and_goes=0, boil=0, camera=0)
    return collate([sample(random_clip(np.random.default_rng(2), 64, 96, world), 0.4)])


def levels_of(batch: Batch, flow_error: float = 0.0, picture_error: float = 0.0) -> FlowLevels:
    truth = batch["flow"]
    flows = [truth[..., k // 2 :: k, k // 2 :: k] / k for k in (8, 4)]
    mask = batch["visible"][:, :1].float()
    matches = torch.full((1, 25, 8, 12), -3.2)
    picture = batch["middle"] + picture_error
    return FlowLevels(
        matches, [*flows, truth + flow_error], mask, torch.zeros_like(picture), picture
    )


def test_the_truth_costs_only_what_matching_leaves() -> None:
    """Picture, mask and flow terms vanish for a perfect answer, and grow with errors."""
    drawn = batch()
    _, perfect = flow_loss(levels_of(drawn), drawn)
    assert perfect["picture"] == 0
    assert perfect["flow"] == 0
    assert perfect["mask"] < 0.001
    base, _ = flow_loss(levels_of(drawn), drawn)
    assert flow_loss(levels_of(drawn, flow_error=2.0), drawn)[0] > base
    assert flow_loss(levels_of(drawn, picture_error=0.1), drawn)[0] > base


def test_things_that_vanish_teach_no_flow() -> None:
    """A thing that comes or goes has no motion; its pixels must not drown the others."""
    drawn = batch()
    drawn["flow"][..., 10:30, 10:30] = 14_000.0
    _, figures = flow_loss(levels_of(batch()), drawn)
    assert figures["flow"] < 1


def test_matching_prefers_the_true_displacement() -> None:
    """A probability on the true motion costs less than one elsewhere."""
    truth = torch.zeros(1, 4, 32, 32)
    truth[:, 0], truth[:, 2] = -4.0, 4.0  # 8 pixels to the right in all: one cell
    visible, weight = torch.ones(1, 2, 32, 32, dtype=torch.bool), torch.ones(1, 1, 32, 32)

    def cost(move: int) -> float:
        logits = torch.zeros(1, 25, 4, 4)
        logits[:, move] = 5
        return matching_loss(logits.log_softmax(1), truth, visible, weight).item()

    right = 2 * 5 + 3  # row of no vertical motion, one cell to the right
    assert cost(right) < 0.3
    assert cost(right - 2) > 4


def test_psnr() -> None:
    """A tenth of the whole range everywhere is 20 dB."""
    assert abs(psnr(torch.full((1, 3, 4, 4), 0.2), torch.zeros(1, 3, 4, 4)) - 20) < 1e-3
