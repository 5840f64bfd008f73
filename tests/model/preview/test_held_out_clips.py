"""Golden figures of the shipped weights on six clips that no training has seen."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import model
from model.preview import PreviewFlowModel, interpolate

WEIGHTS = Path(model.__file__).parent / "preview" / "weights"
CLIPS = sorted(
    path for path in (Path(__file__).parents[2] / "data/clips").iterdir() if path.is_dir()
)
NUMBERS = (4, 7, 11)
MARGIN = 0.3  # dB; processors round differently
GAIN = 2.65  # dB above a cross-fade, measured with the shipped weights


def read(path: Path) -> Tensor:
    picture = cv2.imread(str(path))[..., ::-1].copy()
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255


def psnr(drawing: Tensor, truth: Tensor) -> float:
    return float(-10 * torch.log10((drawing - truth).square().mean()))


@pytest.fixture(scope="module")
def gains() -> list[float]:
    """PSNR above a cross-fade's, for each of three drawings of each clip."""
    network = PreviewFlowModel.from_pretrained(WEIGHTS, torch_dtype=torch.float32).eval()
    network.to(memory_format=torch.channels_last)
    found = []
    for clip in CLIPS:
        first, last = read(clip / "000.png"), read(clip / "015.png")
        positions = [number / 15 for number in NUMBERS]
        for number, drawing in zip(
            NUMBERS, interpolate(network, first, last, positions), strict=True
        ):
            truth = read(clip / f"{number:03d}.png")
            fade = first + (last - first) * number / 15
            found.append(psnr(drawing, truth) - psnr(fade, truth))
    return found


def test_middles_are_far_better_than_a_fade(gains: list[float]) -> None:
    """The mean gain is the one in the model card."""
    assert len(gains) == len(CLIPS) * len(NUMBERS) == 18
    assert np.mean(gains) > GAIN - MARGIN


def test_no_clip_is_worse_than_a_fade(gains: list[float]) -> None:
    """Motion never does harm on average over a clip's three drawings."""
    by_clip = np.reshape(gains, (len(CLIPS), len(NUMBERS))).mean(1)
    assert by_clip.min() > 0
