"""What the model is drawing can be seen before it is decoded."""

import numpy as np
import pytest
import torch
from PIL import Image

from worker.engines.latent_pictures import LatentPictures
from worker.frames.framing import Pixels

HEIGHT, WIDTH = 64, 96
# any four colours' worth of channels: an encoder that is linear in the cells' colours
ENCODER = np.array([[0.9, -0.2, 0.1], [0.1, 0.7, -0.4], [-0.3, 0.2, 0.8], [0.5, 0.5, 0.5]])


def key(seed: int) -> Pixels:
    """Coloured cells of 8x8 pixels."""
    colours = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3))
    return colours.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def encoded(pixels: Pixels) -> torch.Tensor:
    """`(4, h, w)`."""
    cells = torch.from_numpy(pixels[::8, ::8].astype(np.float32) / 127.5 - 1)
    return torch.einsum("kc,hwc->khw", torch.from_numpy(ENCODER.astype(np.float32)), cells)


def clip(*frames: torch.Tensor) -> torch.Tensor:
    return torch.stack(frames, dim=1)[None]


class TestLatentPictures:
    def test_middle_frame_has_its_colours(self) -> None:
        """The map is learnt from the keys, so it holds for another picture of the same encoder."""
        first, last, between = key(1), key(2), key(3)
        zeros = torch.zeros_like(encoded(first))
        pictures = LatentPictures([first, last])
        shown = pictures.picture(
            clip(zeros, encoded(between), zeros), clip(encoded(first), zeros, encoded(last))
        )
        assert shown.shape == (HEIGHT // 8, WIDTH // 8, 3)
        assert np.abs(shown.astype(int) - between[::8, ::8]).max() <= 1

    def test_keys_of_one_colour_give_a_picture(self) -> None:
        """Least squares has many solutions then; the picture is that colour."""
        white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        latents = clip(*[encoded(white)] * 3)
        shown = LatentPictures([white, white]).picture(latents, latents)
        assert (shown >= 254).all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_taken(self, dtype: torch.dtype) -> None:
        """The latents stay on the device as they are; only one frame is copied."""
        first, last = key(4), key(5)
        latents = clip(encoded(first), encoded(first), encoded(last)).to(dtype)
        shown = LatentPictures([first, last]).picture(latents, latents)
        small = np.asarray(Image.fromarray(first).resize(shown.shape[1::-1], Image.Resampling.BOX))
        assert np.abs(shown.astype(int) - small).mean() < 3

    def test_what_is_not_finite_raises_nothing(self) -> None:
        """The pipeline itself refuses its result in the end, and says why."""
        latents = clip(*[encoded(key(6))] * 3)
        broken = torch.full_like(latents, float("nan"))
        shown = LatentPictures([key(6), key(6)]).picture(broken, latents)
        assert shown.shape == (HEIGHT // 8, WIDTH // 8, 3)
