"""Image files to drawings: which formats are read, and how they are turned upright."""

import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin, WebPImagePlugin

from core.images.colour import to_srgb
from core.images.errors import ImageRefused, UnreadableImage, UnsupportedImage
from core.images.jpeg import SIGNATURE as JPEG_SIGNATURE
from core.images.jpeg import read_jpeg
from core.images.messages import ImageFacts
from core.images.picture import Picture, eight_bits
from core.images.png import SIGNATURE as PNG_SIGNATURE
from core.images.png import read_png
from core.images.tiff import SIGNATURES as TIFF_SIGNATURES
from core.images.tiff import read_tiff
from core.images.webp import is_webp, read_webp

# Name, and what is at which place in the file
_OTHERS = (
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    ("Photoshop (PSD)", 0, b"8BPS"),
    ("Clip Studio (CLIP)", 0, b"CSFCHUNK"),
    ("a ZIP archive, as Krita's and OpenRaster's are", 0, b"PK\3\4"),
    ("GIMP (XCF)", 0, b"gimp xcf"),
    ("OpenEXR", 0, b"v/1\1"),
    ("Radiance HDR", 0, b"#?RADIANCE"),
    ("AVIF", 4, b"ftypavif"),
    ("HEIC", 4, b"ftyphe"),
    ("HEIC", 4, b"ftypmif1"),
    ("JPEG XL", 0, b"\xff\n"),
    ("JPEG XL", 4, b"JXL "),
    ("JPEG 2000", 4, b"jP  "),
    ("DDS", 0, b"DDS "),
    ("PDF", 0, b"%PDF"),
    ("SVG", 0, b"<svg"),
)

# Pillow would import its other readers with the first file that neither of these recognises
_READERS = (JpegImagePlugin, WebPImagePlugin)
Image.MAX_IMAGE_PIXELS = None  # the limit is a setting; `check_size` compares before decoding


def inspect_image(data: bytes, *, max_pixels: int) -> ImageFacts:
    """Decode the whole image, so that a truncated one is found before the job is accepted.

    Raises:
        ImageRefused: damaged, too large, or of a format or variant that is not read.
        MemoryError: decoding takes more memory than this process may use.
    """
    content_type, picture = _read(data, max_pixels)
    height, width = picture.levels.shape[:2]
    if picture.orientation >= 5:
        width, height = height, width
    alpha = picture.alpha
    has_alpha = alpha is not None and bool((alpha < np.iinfo(alpha.dtype).max).any())
    return ImageFacts(content_type, width, height, has_alpha)


def read_drawing(data: bytes, *, max_pixels: int) -> Image.Image:
    """The drawing in sRGB, 8 bits per channel, upright: `RGB`, or `RGBA` with straight alpha where
    some pixel is not opaque.

    Each image that `inspect_image` accepts can be read, and has the size that it gave.

    Raises:
        ImageRefused: damaged, too large, or of a format or variant that is not read.
        MemoryError: decoding takes more memory than this process may use.
    """
    _, picture = _read(data, max_pixels)
    orientation = picture.orientation
    colours = to_srgb(picture.levels, picture.profile)
    alpha = None if picture.alpha is None else np.array(eight_bits(picture.alpha))
    del picture  # a large one of 16 bits takes more memory than all that follows
    drawing = Image.fromarray(np.ascontiguousarray(colours))
    if alpha is not None and int(alpha.min()) < 255:
        drawing.putalpha(Image.fromarray(alpha))
    if orientation != 1:
        drawing.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(drawing, in_place=True)
    return drawing


def _read(data: bytes, max_pixels: int) -> tuple[str, Picture]:
    """Content type and decoded picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # readers warn of odd metadata, which harms no drawing
            if data.startswith(PNG_SIGNATURE):
                return "image/png", read_png(data, max_pixels)
            if data.startswith(JPEG_SIGNATURE):
                return "image/jpeg", read_jpeg(data, max_pixels)
            if data.startswith(TIFF_SIGNATURES):
                return "image/tiff", read_tiff(data, max_pixels)
            if is_webp(data):
                return "image/webp", read_webp(data, max_pixels)
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # decoders raise almost anything on broken bytes
        raise UnreadableImage(
            f"cannot be decoded, it is broken or truncated ({type(error).__name__})"
        ) from None
    raise _other_format(data)


def _other_format(data: bytes) -> ImageRefused:
    """Name what the file is, if that can be seen from its first bytes."""
    for name, place, beginning in _OTHERS:
        if data.startswith(beginning, place):
            return UnsupportedImage(
                f"must be a PNG, JPEG, WebP or TIFF image; got {name}; export it as PNG"
            )
    return UnreadableImage("must be a PNG, JPEG, WebP or TIFF image; it is none of them")
