"""Drawings onto the canvas and back."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.shots.canvas import Size
from model.video_processor import ToonCrafterVideoProcessor
from worker.frames.framing import cut_out, lay_on_canvas

CANVAS = Size(512, 320)


def gradient(width: int, height: int) -> NDArray[np.uint8]:
    """Red grows to the right, green downwards: every place has its own colour."""
    red = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.stack([red, green, np.full_like(red, 90)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("size", [(1920, 1080), (640, 640), (300, 500), (512, 320), (64, 40)])
def test_what_is_laid_on_is_what_is_cut_out(size: tuple[int, int]) -> None:
    """The frame at a key shows the whole drawing: not cropped, not stretched, without a border."""
    drawing = gradient(*size)
    (canvas,), box = lay_on_canvas([drawing], CANVAS)
    (picture,) = cut_out(canvas[None], box)
    assert picture.shape[1] / picture.shape[0] == pytest.approx(size[0] / size[1], rel=0.01)
    rows = np.arange(picture.shape[0]) * size[1] // picture.shape[0]
    columns = np.arange(picture.shape[1]) * size[0] // picture.shape[1]
    assert np.abs(picture.astype(int) - drawing[rows][:, columns]).max() <= 5


def test_border_repeats_the_edge() -> None:
    """The model sees the ground go on, and no bar that it would animate."""
    (canvas,), box = lay_on_canvas([gradient(1920, 1080)], CANVAS)
    assert canvas.shape == (320, 512, 3)
    assert (canvas[: box.top] == canvas[box.top]).all()
    assert (canvas[box.top + box.height :] == canvas[box.top + box.height - 1]).all()


def test_drawing_of_the_canvas_s_size_is_not_touched() -> None:
    """No filter goes over it."""
    drawing = np.random.default_rng(0).integers(0, 256, (320, 512, 3), dtype=np.uint8)
    (canvas,), _ = lay_on_canvas([drawing], CANVAS)
    assert (canvas == drawing).all()


@pytest.mark.parametrize("canvas", [Size(512, 320), Size(320, 512), Size(384, 384), Size(192, 832)])
def test_pipeline_does_not_resample_again(canvas: Size) -> None:
    """What it makes of a picture of the canvas's size is that picture."""
    (laid,), _ = lay_on_canvas([gradient(700, 500)], canvas)
    tensor = ToonCrafterVideoProcessor().preprocess([laid], canvas.height, canvas.width)
    assert (((tensor[0] + 1) / 2 * 255).round().numpy() == np.moveaxis(laid, -1, 0)).all()


def test_thin_lines_survive_shrinking() -> None:
    """To a tenth of their width: every line leaves its share of ink; sampling without a filter
    would lose most.
    """
    sheet = Image.new("RGB", (5120, 3200), "white")
    for x in range(5, 5120, 80):
        sheet.paste((0, 0, 0), (x, 0, x + 1, 3200))
    (canvas,), _ = lay_on_canvas([np.asarray(sheet)], CANVAS)
    lines = canvas[160, :, 0].reshape(64, 8)  # one line in each eight pixels
    assert (lines.min(axis=1) < 240).all()
    assert canvas.mean() == pytest.approx(np.asarray(sheet).mean(), abs=1.0)
