"""Interpolation with the shipped weights: any position, any size, with and without alpha."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import model
from model.preview import PreviewFlowModel, interpolate

WEIGHTS = Path(model.__file__).parent / "preview" / "weights"


@pytest.fixture(scope="module")
def preview() -> PreviewFlowModel:
    network = PreviewFlowModel.from_pretrained(WEIGHTS, torch_dtype=torch.float32).eval()
    return network.to(memory_format=torch.channels_last)


def disc(x: float, height: int = 160, width: int = 256, alpha: bool = False) -> Tensor:
    """A dark disc with a light spot, its centre at column `x` of a plain background."""
    rows = torch.arange(height)[:, None] - height / 2
    columns = torch.arange(width)[None] - x
    radius = height / 6
    cover = (radius + 0.5 - (rows**2 + columns**2).sqrt()).clamp(0, 1)
    spot = (radius / 3 + 0.5 - ((rows + 5) ** 2 + (columns + 5) ** 2).sqrt()).clamp(0, 1)
    colour = torch.stack([0.2 + 0.7 * spot, 0.2 + 0.6 * spot, 0.5 + 0 * spot])
    if alpha:
        return torch.cat([colour, cover[None]])
    return colour * cover + torch.tensor([0.85, 0.9, 0.8]).view(3, 1, 1) * (1 - cover)


def darkness_centre(picture: Tensor) -> float:
    """Mean column of what is darker than the background, in pixels."""
    dark = (0.6 - picture[:3].mean(0)).clamp(min=0)
    return float((dark.sum(0) * torch.arange(picture.shape[-1])).sum() / dark.sum())


@pytest.mark.parametrize("position", [0.2, 0.5, 0.8])
def test_a_disc_is_where_its_time_says(preview: PreviewFlowModel, position: float) -> None:
    """Motion of 40 pixels, a sixth of the width: the middle is drawn once, at the right place."""
    first, last = disc(100), disc(140)
    (drawing,) = interpolate(preview, first, last, [position])
    assert drawing.shape == first.shape
    assert abs(darkness_centre(drawing) - (100 + 40 * position)) < 3
    truth, fade = disc(100 + 40 * position), first + (last - first) * position
    assert (drawing - truth).abs().mean() < 0.5 * (fade - truth).abs().mean()


def test_ends_are_the_keys(preview: PreviewFlowModel) -> None:
    """Positions 0 and 1 return the keys bit by bit."""
    first, last = disc(100), disc(140)
    drawings = list(interpolate(preview, first, last, [0, 1]))
    assert torch.equal(drawings[0], first)
    assert torch.equal(drawings[1], last)


def test_strips_equal_the_whole(preview: PreviewFlowModel) -> None:
    """Large pictures are warped in strips; where they are cut does not show."""
    first, last = disc(100, 200, 301), disc(150, 200, 301)
    (whole,) = interpolate(preview, first, last, [0.4], strip_rows=1000)
    (strips,) = interpolate(preview, first, last, [0.4], strip_rows=37)
    assert torch.allclose(whole, strips, atol=2e-3)


def test_large_pictures_move_as_small_ones_do(preview: PreviewFlowModel) -> None:
    """Beyond the working size motion is estimated on a smaller copy, and drawn at full size."""
    first, last = disc(400, 640, 1024), disc(560, 640, 1024)
    (drawing,) = interpolate(preview, first, last, [0.5])
    assert drawing.shape == (3, 640, 1024)
    assert abs(darkness_centre(drawing) - 480) < 12


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (100, 250)])
def test_any_size(preview: PreviewFlowModel, size: tuple[int, int]) -> None:
    """Sides need not be divisible by anything."""
    first, last = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(2))
    (drawing,) = interpolate(preview, first, last, [0.5])
    assert drawing.shape == first.shape
    assert drawing.isfinite().all()


def test_alpha_moves_with_the_drawing(preview: PreviewFlowModel) -> None:
    """The matte of the middle covers the middle's disc, and colour does not bleed from outside."""
    first, last = disc(100, alpha=True), disc(140, alpha=True)
    (drawing,) = interpolate(preview, first, last, [0.5])
    truth = disc(120, alpha=True)
    fade_error = ((first[3] + last[3]) / 2 - truth[3]).abs().mean()
    assert (drawing[3] - truth[3]).abs().mean() < 0.5 * fade_error
    inside = (truth[3] > 0.99) & (drawing[3] > 0.99)
    assert (drawing[:3] - truth[:3]).abs().mean(0)[inside].mean() < 0.1


def test_equal_keys_stay(preview: PreviewFlowModel) -> None:
    """Nothing moves between two equal drawings."""
    key = disc(120)
    (drawing,) = interpolate(preview, key, key, [0.5])
    assert (drawing - key).abs().max() < 0.05


def test_wrong_input_is_refused(preview: PreviewFlowModel) -> None:
    """Shapes and positions are checked before any work."""
    with pytest.raises(ValueError, match="one shape"):
        next(interpolate(preview, disc(100), disc(100, 80), [0.5]))
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        next(interpolate(preview, disc(100), disc(100), [1.5]))
