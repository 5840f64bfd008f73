"""The small ToonCrafter that ships: it moves its kitten instead of fading it."""

import cv2
import numpy as np
import pytest
import torch

from model.checkpoint import EXPERIMENTAL, load_pipeline
from training.evaluate import held_out_cases
from training.evaluation.engines import CrossFade
from training.evaluation.metrics import figures


@pytest.mark.long
def test_it_moves_what_a_fade_doubles() -> None:
    """The middle drawing of a held-out clip is nearer to the truth than a cross-fade."""
    loaded = load_pipeline(EXPERIMENTAL, device="cpu", dtype=torch.float32)
    assert loaded.trained
    loaded.pipeline.set_progress_bar_config(disable=True)
    (*_, case) = held_out_cases(7, 128, 192, 90.0, narrow=True)
    frames = loaded.pipeline(
        [case.first, case.last],
        height=128,
        width=192,
        num_inference_steps=1,
        guidance_scale=1.0,
        eta=0.0,
        generator=torch.Generator().manual_seed(0),
    ).frames
    fade = CrossFade().between(case.first, case.last, case.positions)
    place = case.positions[1]
    drawn = np.asarray(cv2.resize(frames[round(place * 15)], (192, 128)))
    own, faded = (
        figures(picture, case.middles[1], case.first, case.last) for picture in (drawn, fade[1])
    )
    assert own.psnr > faded.psnr + 1
    assert own.moving < faded.moving
