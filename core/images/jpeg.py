"""Read JPEG: Pillow decodes the picture, colours and orientation are parsed here."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.exif import orientation_of
from core.images.picture import Picture, check_size

SIGNATURE = b"\xff\xd8\xff"

_END, _SCAN = 0xD9, 0xDA
_JFIF, _EXIF, _ICC, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_APPLICATIONS, _COMMENT = range(0xE0, 0xF0), 0xFE
_ALONE = (0x01, *range(0xD0, 0xDA))  # markers without a segment
_FRAMES = tuple(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))
_PROGRESSIVE = (0xC2, 0xCA)
_READ_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline to progressive, Huffman or arithmetic
_FILLERS = (b"\0" * 256, b"\x55" * 256)
_COEFFICIENTS = range(64)

Segment = tuple[int, int, bytes]  # marker, where it begins, content


def read_jpeg(data: bytes, max_pixels: int) -> Picture:
    """Decode a JPEG file, of several pictures the first one.

    Raises:
        ImageRefused: too large, truncated, or of a variant that is not read.
        Exception: other damage, as the decoder says it.
    """
    head = list(_segments(data, to_first_scan=True))
    _check_frame(head, max_pixels)
    picture = _without_metadata(data, head)
    try:
        image = _decoded(picture)
    except OSError:
        image = _decoded_without_end(picture)
    levels = np.asarray(image)
    return Picture(
        levels if levels.ndim == 3 else levels[:, :, None],
        profile=_profile(head),
        orientation=_orientation(head),
    )


def _segments(data: bytes, *, to_first_scan: bool = False) -> Iterator[Segment]:
    """The segments in the order of the file; what lies between them is skipped."""
    place = 0
    while 0 <= (place := data.find(b"\xff", place)) < len(data) - 1:
        marker = data[place + 1]
        if marker in (0, 0xFF) or marker in _ALONE:
            if marker == _END:
                return
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        yield marker, place, data[place + 4 : place + 2 + length]
        if marker == _SCAN and to_first_scan:
            return
        place += 2 + max(2, length)


def _check_frame(head: list[Segment], max_pixels: int) -> None:
    """Refuse what is too large, and name the variants that Pillow does not decode."""
    frames = [(marker, content) for marker, _, content in head if marker in _FRAMES]
    if not frames or len(frames[0][1]) < 6:
        raise UnreadableImage("cannot be decoded, its beginning is broken")
    marker, content = frames[0]
    bits, height, width = struct.unpack(">BHH", content[:5])
    check_size(width, height, max_pixels)
    if marker not in _READ_FRAMES:
        raise UnsupportedImage(
            "must be a baseline or progressive JPEG; got a lossless or hierarchical one; "
            "export it as baseline JPEG or as PNG"
        )
    if bits != 8:
        raise UnsupportedImage(
            f"must have 8 bits per channel as a JPEG; got {bits}; "
            "export it as 8-bit JPEG or as 16-bit PNG or TIFF"
        )


def _without_metadata(data: bytes, head: list[Segment]) -> bytes:
    """The file without what only describes the picture: large or broken, it spoils nothing."""
    parts = [b"\xff\xd8"]
    for marker, place, content in head:
        if marker == _SCAN:
            parts.append(data[place:])
        elif _makes_picture(marker, content):
            parts.append(data[place : place + 4 + len(content)])
    return b"".join(parts)


def _makes_picture(marker: int, content: bytes) -> bool:
    if marker in (_JFIF, _ADOBE):  # they say whether colours are RGB, YCbCr, CMYK or YCCK
        return content.startswith((b"JFIF\0", b"Adobe"))
    return marker != _COMMENT and marker not in _APPLICATIONS


def _decoded(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture), formats=["JPEG"])
    image.load()
    return image


def _decoded_without_end(picture: bytes) -> Image.Image:
    """Decode a picture that is whole but for its end marker.

    Without that marker a decoder cannot tell whether bits are missing. So different bits are put
    after the picture: it is whole if they change nothing, and no scan is missing.
    """
    whole = picture.rstrip(b"\xff")
    images = [_decoded(whole + filler + b"\xff\xd9") for filler in _FILLERS]
    if images[0].tobytes() != images[1].tobytes() or not _has_all_scans(picture):
        raise UnreadableImage("cannot be decoded, it is truncated")
    return images[0]


def _has_all_scans(picture: bytes) -> bool:
    """Whether the scans bring each coefficient of each component to its full precision."""
    missing: dict[int, set[int]] = {}
    is_progressive = False
    for marker, _, content in _segments(picture):
        if marker in _FRAMES and not missing:
            is_progressive = marker in _PROGRESSIVE
            missing = {component: set(_COEFFICIENTS) for component in content[6::3]}
        elif marker == _SCAN:
            count = content[0]
            first, last, precision = content[1 + 2 * count : 4 + 2 * count]
            if not is_progressive:
                first, last, precision = 0, 63, 0
            if precision & 15 == 0:
                for component in content[1 : 1 + 2 * count : 2]:
                    missing[component] -= set(range(first, last + 1))
    return not any(missing.values())


def _profile(head: list[Segment]) -> bytes | None:
    """The ICC profile, which is spread over numbered segments; None unless all are there."""
    parts = {
        content[12]: content
        for marker, _, content in head
        if marker == _ICC and content.startswith(b"ICC_PROFILE\0") and len(content) > 14
    }
    if not parts or sorted(parts) != list(range(1, len(parts) + 1)):
        return None
    return b"".join(parts[number][14:] for number in sorted(parts))


def _orientation(head: list[Segment]) -> int:
    for marker, _, content in head:
        if marker == _EXIF and content.startswith(b"Exif\0\0"):
            return orientation_of(content)
    return 1
