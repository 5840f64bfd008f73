"""Keyframe bytes to drawings: what is read, how large it may be, how gray, 16-bit and transparent
ones are meant.
"""

import io
import warnings
from dataclasses import dataclass

# Each reader by name, so that Pillow finds them imported: it would look among the dozens that it
# brings, and amid the first image, where a confined process can import nothing any more
from PIL import (
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

_READERS = (PngImagePlugin, JpegImagePlugin, MpoImagePlugin, WebPImagePlugin, TiffImagePlugin)
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
CONTENT_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # what Pillow calls a JPEG that a phone appended its depth or gain map to
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
}
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"RIFF",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
)
# long side to short side; the short one is scaled to the canvas, and the long one grows with it
MAX_ASPECT = 8
MAX_SIDE = 16_384  # pixels; WebP's own limit, and four times the widest drawing of a feature film

_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_MODES = _SIXTEEN_BITS | {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_ORIENTATION = 0x0112  # of EXIF
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Image.preinit()  # Pillow imports some formats with the first image, whatever that is
# the limit is a setting and is checked below, before anything is decoded
Image.MAX_IMAGE_PIXELS = None


class UnreadableImage(ValueError):
    """The bytes are no image that we decode: broken, too large, or of another format. The message
    is for the caller.
    """


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
        MemoryError: this process may not have as much as it takes.
    """
    image = _decode(data, max_pixels)
    sideways = _orientation(image) in (5, 6, 7, 8)
    width, height = (image.height, image.width) if sideways else image.size
    return ImageFacts(CONTENT_TYPES[image.format or ""], width, height)


def read_drawing(data: bytes, *, max_pixels: int) -> Image.Image:
    """The drawing in RGB, 8 bits per channel, upright; what is transparent shows white paper.

    What `inspect_image` accepts can be read, and has the size that it told.

    Raises:
        UnreadableImage: broken, too large, or of another format.
        MemoryError: this process may not have as much as it takes.
    """
    image = _decode(data, max_pixels)
    turn = _TO_UPRIGHT.get(_orientation(image))
    if image.mode in _SIXTEEN_BITS:
        image = _eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    rgb = image.convert("RGB")
    return rgb if turn is None else rgb.transpose(turn)


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which harms no drawing
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_size(image.width, image.height, max_pixels)
            _check_mode(image.mode)
            image.load()
            if image.mode in ("P", "PA") and image.palette is None:
                raise UnreadableImage("cannot be decoded, its palette is missing")
    except UnidentifiedImageError:
        if any(data.startswith(beginning) for beginning in _BEGINNINGS):
            raise UnreadableImage("cannot be decoded, its beginning is broken") from None
        raise UnreadableImage(
            "has to be a PNG, JPEG, WebP or TIFF image but is none of them"
        ) from None
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders raise almost anything on broken bytes
        raise UnreadableImage(
            f"cannot be decoded, it is broken or truncated ({type(error).__name__})"
        ) from None
    return image


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width > MAX_SIDE or height > MAX_SIDE:
        raise UnreadableImage(
            f"has to be at most {MAX_SIDE} pixels wide and high but is {width}x{height}"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnreadableImage(
            f"has to be at most {MAX_ASPECT} times as long on one side but is {width}x{height}"
        )
    if width * height > max_pixels:
        raise UnreadableImage(
            f"has to have at most {max_pixels} pixels but has {width * height} ({width}x{height})"
        )


def _check_mode(mode: str) -> None:
    if mode in ("I", "F"):
        raise UnreadableImage("has to have 8 or 16 bits per channel but has 32")
    if mode not in _MODES:
        raise UnreadableImage(
            f"has to be gray, RGB, CMYK, YCbCr or have a palette but its colours are {mode}"
        )


def _orientation(image: Image.Image) -> int:
    """How the picture is turned, as EXIF counts; 1, which is upright, where that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # a viewer shows such a picture too
        return 1
    return orientation if isinstance(orientation, int) and orientation in _TO_UPRIGHT else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit gray to 8-bit; Pillow's own conversion would clip instead of scale."""
    return image.convert("I").point([round(level / 257) for level in range(2**16)], "L")
