"""WebP as programs write it."""

import numpy as np
import pytest
from PIL import Image

from core.images.errors import UnreadableImage
from core.images.formats import inspect_image
from testkit.images.paper import read_on_white
from testkit.images.profiles import ADOBE_RGB, LINEAR_GRAY
from testkit.jobs import drawing, encoded

MAX_PIXELS = 100_000
FLAT = Image.new("RGB", (32, 32), (200, 60, 40))


def pixel(data: bytes) -> list[int]:
    return np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))[9, 9].tolist()


def webp(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "WEBP", **{"lossless": True, **options})


@pytest.mark.parametrize(
    ("profile", "expected"),
    [(ADOBE_RGB, (231, 57, 34)), (LINEAR_GRAY, (200, 60, 40)), (b"none", (200, 60, 40))],
)
def test_profile(profile: bytes, expected: tuple[int, ...]) -> None:
    """One for other channels, or a damaged one, is ignored."""
    np.testing.assert_allclose(pixel(webp(FLAT, icc_profile=profile)), expected, atol=1)


def test_profile_and_alpha() -> None:
    """Colours are converted before they are put on white paper."""
    half = FLAT.convert("RGBA")
    half.putalpha(128)
    np.testing.assert_allclose(
        pixel(webp(half, icc_profile=ADOBE_RGB, exact=True)), (243, 156, 144), atol=1
    )


def test_animation_shows_its_first_picture() -> None:
    """Also with a profile."""
    data = webp(FLAT, save_all=True, append_images=[drawing(32, 32)], icc_profile=ADOBE_RGB)
    np.testing.assert_allclose(pixel(data), (231, 57, 34), atol=1)


def test_truncated() -> None:
    """A file that ends before its picture does."""
    data = webp(Image.effect_noise((64, 64), 80).convert("RGB"))
    for kept in (len(data) - 2, len(data) // 2, 40, 16):
        with pytest.raises(UnreadableImage):
            inspect_image(data[:kept], max_pixels=MAX_PIXELS)
