"""The network at toy size, and the shipped weights' weight."""

from pathlib import Path

import torch

import model
from model.preview import PreviewFlowModel

WEIGHTS = Path(model.__file__).parent / "preview" / "weights"
TOY = {
    "widths": (4, 6, 8, 8, 8),
    "matching_channels": 8,
    "radius": 2,
    "decoder_widths": (8, 8, 8),
    "hidden_channels": (4, 4),
}


def test_shapes_and_ranges() -> None:
    """Three levels of flow, a mask within [0, 1], log-probabilities that sum to one."""
    torch.manual_seed(0)
    network = PreviewFlowModel(**TOY)
    first, last = torch.rand(2, 2, 3, 64, 96) * 2 - 1
    levels = network(first, last, torch.tensor([0.25, 0.75]))
    assert [tuple(flow.shape) for flow in levels.flows] == [
        (2, 4, 8, 12),
        (2, 4, 16, 24),
        (2, 4, 64, 96),
    ]
    assert levels.picture.shape == first.shape
    assert levels.mask.min() >= 0
    assert levels.mask.max() <= 1
    assert torch.allclose(levels.matches.exp().sum(1), torch.ones(2, 8, 12), atol=1e-4)


def test_saved_weights_load(tmp_path: Path) -> None:
    """A diffusers folder holds configuration and weights."""
    torch.manual_seed(0)
    network = PreviewFlowModel(**TOY).eval()
    network.save_pretrained(tmp_path)
    loaded = PreviewFlowModel.from_pretrained(tmp_path).eval()
    first, last = torch.rand(2, 1, 3, 32, 32)
    position = torch.tensor([0.5])
    assert torch.equal(
        network(first, last, position).picture, loaded(first, last, position).picture
    )


def test_shipped_weights_are_small() -> None:
    """At most 8 MB come with every clone."""
    assert sum(file.stat().st_size for file in WEIGHTS.glob("*.safetensors")) <= 8_000_000
    assert (WEIGHTS / "MODEL_CARD.md").exists()
