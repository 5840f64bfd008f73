"""Keyframe bytes to drawings: what is read, how large it may be, how gray, 16-bit and transparent ones are meant."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
CONTENT_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # what Pillow calls a JPEG that a phone appended its depth or gain map to
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
}
MAX_ASPECT = 8  # long side to short side; the short one is scaled to the canvas, and the long one grows with it
MAX_SIDE = 16_384  # pixels; WebP's own limit, and four times the widest drawing of a feature film

Image.MAX_IMAGE_PIXELS = None  # the limit is a setting and is checked below, before anything is decoded


class UnreadableImage(ValueError):
    """The bytes are no image that we decode: broken, too large, or of another format. The message is for the caller."""


@dataclass(frozen=True)
class ImageFacts:
    """What a decoded image turned out to be; width and height as seen, in pixels."""

    content_type: str
    width: int
    height: int


def inspect_image(data: bytes, *, max_pixels: int) -> ImageFacts:
    """Decode the whole image, so that a truncated one is found now and not on the GPU.

    Raises:
        UnreadableImage: broken, too large, or of another format.
    """
    image = _decode(data, max_pixels)
    return ImageFacts(CONTENT_TYPES[image.format or ""], *_size_as_seen(image))


def read_drawing(data: bytes, *, max_pixels: int) -> Image.Image:
    """The drawing in RGB, 8 bits per channel, upright; what is transparent shows white paper.

    Raises:
        UnreadableImage: broken, too large, or of another format.
    """
    image = ImageOps.exif_transpose(_decode(data, max_pixels))
    if image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which harms no drawing
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(image.width, image.height, max_pixels)
            if image.mode in ("I", "F"):
                raise UnreadableImage("has to have 8 or 16 bits per channel but has 32")
            image.load()
    except UnidentifiedImageError:
        raise UnreadableImage("has to be a PNG, JPEG, WebP or TIFF image but is none of them") from None
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise almost anything on broken bytes
        raise UnreadableImage(f"cannot be decoded, it is broken or truncated ({type(error).__name__})") from None
    return image


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width > MAX_SIDE or height > MAX_SIDE:
        raise UnreadableImage(f"has to be at most {MAX_SIDE} pixels wide and high but is {width}x{height}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnreadableImage(f"has to be at most {MAX_ASPECT} times as long on one side but is {width}x{height}")
    if width * height > max_pixels:
        raise UnreadableImage(f"has to have at most {max_pixels} pixels but has {width * height} ({width}x{height})")


def _size_as_seen(image: Image.Image) -> tuple[int, int]:
    sideways = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # EXIF orientations that turn by a quarter
    return (image.height, image.width) if sideways else (image.width, image.height)


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray to 8-bit; Pillow's own conversion would clip instead of scale."""
    return image.convert("I").point([round(level / 257) for level in range(2**16)], "L")
