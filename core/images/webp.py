"""Decode WebP with Pillow."""

import io

import numpy as np
from PIL import Image

from core.images.exif import orientation_of
from core.images.picture import Picture, check_size


def is_webp(data: bytes) -> bool:
    """Whether the file begins like a WebP file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_webp(data: bytes, max_pixels: int) -> Picture:
    """Decode a WebP file, of an animation the first picture.

    Raises:
        ImageRefused: too large.
        Exception: damage, as the decoder says it.
    """
    image = Image.open(io.BytesIO(data), formats=["WEBP"])
    check_size(image.width, image.height, max_pixels)
    image.load()
    levels = np.asarray(image)
    return Picture(
        levels[:, :, :3],
        levels[:, :, 3] if image.mode == "RGBA" else None,
        image.info.get("icc_profile"),
        orientation_of(image.info.get("exif", b"")),
    )
