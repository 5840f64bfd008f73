"""Matching: each motion is scored by what it carries from key to key."""

import torch

from model.preview.matching import OUTSIDE, bilateral_costs, displacements, expected_displacement


def test_costs_equal_a_plain_loop() -> None:
    """The gathered volume holds the dot product of both ends of each motion."""
    generator = torch.Generator().manual_seed(0)
    first, last = torch.randn((2, 2, 8, 6, 9), generator=generator)
    positions = torch.tensor([0.3, 0.7])
    costs = bilateral_costs(first, last, positions, radius=2)
    for clip, position in enumerate(positions.tolist()):
        for move, (dx, dy) in enumerate(displacements(2).tolist()):
            for y in range(6):
                for x in range(9):
                    start = (y - round(position * dy), x - round(position * dx))
                    end = (start[0] + dy, start[1] + dx)
                    inside = all(0 <= row < 6 and 0 <= column < 9 for row, column in (start, end))
                    dot = (
                        (first[clip, :, *start] @ last[clip, :, *end]).item() if inside else OUTSIDE
                    )
                    assert abs(costs[clip, move, y, x].item() - dot) < 1e-3


def test_a_certain_match_is_its_own_expectation() -> None:
    """One displacement with all the probability is returned as it is."""
    moves = displacements(2)
    log_probabilities = torch.full((1, len(moves), 1, 1), -1e4)
    chosen = 7
    log_probabilities[0, chosen] = 0
    motion = expected_displacement(log_probabilities, radius=2)[0, :, 0, 0]
    assert motion.tolist() == moves[chosen].tolist()
