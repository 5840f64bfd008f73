"""Define the messages between a decoder and its parent; imports no decoder."""

from dataclasses import dataclass

INSPECT, DRAW = b"inspect", b"draw"
CONTENT_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff")


@dataclass(frozen=True)
class ImageFacts:
    """What a decoded image is; width and height in pixels, as seen."""

    content_type: str
    width: int
    height: int
    has_alpha: bool = False  # some pixel is not opaque
