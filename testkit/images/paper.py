"""Drawings as they are seen on white paper, so that tests compare three channels."""

from PIL import Image

from core.images.formats import read_drawing


def read_on_white(data: bytes, *, max_pixels: int) -> Image.Image:
    """Return what `read_drawing` returns, on white where it is transparent: `RGB`."""
    drawing = read_drawing(data, max_pixels=max_pixels)
    if drawing.mode == "RGB":
        return drawing
    return Image.alpha_composite(Image.new("RGBA", drawing.size, "white"), drawing).convert("RGB")
