"""ICC profiles for tests: LittleCMS makes those of displays, this module one of a printer."""

import struct
from itertools import product

import imagecodecs

WHITE = [0.3127, 0.329, 1.0]
PRIMARIES = [0.64, 0.33, 1.0, 0.3, 0.6, 1.0, 0.15, 0.06, 1.0]
D50 = (0.9642, 1.0, 0.8249)

ADOBE_RGB = imagecodecs.cms_profile("adobergb")
SRGB = imagecodecs.cms_profile("srgb")
LINEAR_RGB = imagecodecs.cms_profile("rgb", whitepoint=WHITE, primaries=PRIMARIES, gamma=1.0)
LINEAR_GRAY = imagecodecs.cms_profile("gray", whitepoint=WHITE, gamma=1.0)


def printer_profile() -> bytes:
    """A CMYK profile whose paper is L 100, inks darken it, and full black is L 20.

    Its table `A2B0` holds CIELAB values at the 16 corners of the inks.
    """
    corners = b"".join(
        struct.pack(">3H", *_lab(cyan, magenta, yellow, black))
        for cyan, magenta, yellow, black in product((0, 1), repeat=4)
    )
    identity = struct.pack(">9i", *(65_536 * (index % 4 == 0) for index in range(9)))
    curves = struct.pack(">2H", 0, 65_535)
    table = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + struct.pack(">HH", 2, 2)
    table += curves * 4 + corners + curves * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65_536) for value in D50))
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 5) + b"cmyk\0" + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
        (b"wtpt", white),
        (b"A2B0", table),
    ]
    place, directory, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags:
        padded = content + bytes(-len(content) % 4)
        directory += name + struct.pack(">II", place + len(body), len(padded))
        body += padded
    head = struct.pack(">I4sI", place + len(body), b"", 0x02400000) + b"prtrCMYKLab "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white[8:]
    return head.ljust(128, b"\0") + directory + body


def _lab(cyan: int, magenta: int, yellow: int, black: int) -> tuple[int, int, int]:
    """CIELAB in the 16-bit encoding of ICC version 2."""
    lightness = (100 - 40 * cyan - 50 * magenta - 10 * yellow) if not black else 20
    red_green = 0 if black else 70 * magenta - 40 * cyan
    yellow_blue = 0 if black else 90 * yellow - 50 * cyan
    levels = (lightness * 652.8, (red_green + 128) * 256, (yellow_blue + 128) * 256)
    return tuple(min(65_280, max(0, round(level))) for level in levels)  # type: ignore[return-value]
