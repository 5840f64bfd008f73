"""Animated PNG: lossless, with alpha, and with delays that are exact fractions."""

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO

from PIL import Image

from worker.export.film import Check, Export, Film, Pixels, no_check
from worker.export.patches import Patch, patches

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PERCEPTUAL_SRGB = b"\x00"
LARGEST = 2**16 - 1  # both parts of a delay are 16-bit numbers
COMPRESSION = 6  # zlib's level; 9 takes four times as long for 2 % less
KEEP, REPLACE = 0, 0  # what remains of a patch after its time, and how it meets what is below


def export_apng(film: Film, check: Check = no_check) -> Export:
    """Write each drawing once, for the time of its exposure; the animation repeats for ever."""
    content = b"".join([SIGNATURE, *_chunks(film, check)])
    return Export(content, "animation.png", "image/apng", len(film.drawings), *film.size)


def _chunks(film: Film, check: Check) -> Iterator[bytes]:
    sequence = 0
    for index, patch in enumerate(patches(iter(film.drawings))):
        check()
        encoded = _encode(patch.pixels)
        if index == 0:
            yield _chunk(b"IHDR", next(data for kind, data in encoded if kind == b"IHDR"))
            yield _chunk(b"sRGB", PERCEPTUAL_SRGB)
            yield _chunk(b"acTL", struct.pack(">II", len(film.drawings), 0))
        yield _chunk(b"fcTL", _frame_control(sequence, patch, film.exposures[index] / film.rate))
        sequence += 1
        for kind, data in encoded:
            if kind == b"IDAT" and index == 0:
                yield _chunk(b"IDAT", data)
            elif kind == b"IDAT":
                yield _chunk(b"fdAT", struct.pack(">I", sequence) + data)
                sequence += 1
    yield _chunk(b"IEND", b"")


def _frame_control(sequence: int, patch: Patch, seconds: Fraction) -> bytes:
    height, width = patch.pixels.shape[:2]
    delay = _delay(seconds)
    place = (sequence, width, height, patch.left, patch.top)
    return struct.pack(">IIIIIHHBB", *place, delay.numerator, delay.denominator, KEEP, REPLACE)


def _delay(seconds: Fraction) -> Fraction:
    """The nearest fraction of two 16-bit numbers: exact for every rate and hold below a minute."""
    return seconds.limit_denominator(min(LARGEST, int(LARGEST / seconds)))


def _encode(pixels: Pixels) -> list[tuple[bytes, bytes]]:
    """Compress as PNG and take the file apart: kind and data of each chunk."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=COMPRESSION)
    content, position, chunks = file.getvalue(), len(SIGNATURE), []
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        start = position + 8
        chunks.append((content[position + 4 : start], content[start : start + length]))
        position = start + length + 4  # behind the checksum
    return chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
