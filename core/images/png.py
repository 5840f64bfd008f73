"""Read PNG from its picture chunks alone, so that no metadata can spoil it."""

import struct
import zlib
from collections.abc import Sequence

import imagecodecs

from core.images.colour import is_profile, profile_of_primaries
from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.exif import orientation_of
from core.images.picture import Picture, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_PICTURE = (b"IHDR", b"PLTE", b"tRNS")  # in this order
_METADATA = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf")
_MAX_PROFILE = 8 * 2**20  # bytes of an unpacked ICC profile; those of printers have up to 3 MB
_WHITE = (0.3127, 0.3290)  # of sRGB
_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_SRGB_GAMMA = 45_455  # what `gAMA` says for sRGB, in 100,000ths
_SAME_GAMMA = 0.05  # a gamma nearer than this, and without `cHRM`, is sRGB: as libpng and Chromium
# Code points of ITU-T H.273, which `cICP` holds
_CICP_PRIMARIES = {
    1: _PRIMARIES,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
_CICP_SRGB = 13
_CICP_GAMMAS = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1.0, 14: 2.4, 15: 2.4, _CICP_SRGB: None}
_CICP_HDR = {16: "PQ", 18: "HLG"}


def read_png(data: bytes, max_pixels: int) -> Picture:
    """Decode the still picture of a PNG file; of an animation, its default picture.

    Raises:
        ImageRefused: too large, damaged, or of a variant that is not read.
        Exception: other damage, as the decoder says it.
    """
    chunks = _chunks(data)
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    check_size(width, height, max_pixels)
    levels = imagecodecs.png_decode(_file_of(chunks)).reshape(height, width, -1)
    channels = levels.shape[2]
    has_alpha = channels in (2, 4)
    return Picture(
        levels[:, :, : channels - has_alpha],
        levels[:, :, -1] if has_alpha else None,
        _profile(chunks),
        orientation_of(chunks.get(b"eXIf", b"")),
    )


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Of each kind that is looked at the first chunk's content, and that of all `IDAT` as one.

    Ancillary chunks with a wrong checksum are skipped.
    """
    found: dict[bytes, bytes] = {}
    pixels = []
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        checksum = data[place + 8 + length : place + 12 + length]
        place += 12 + length
        is_whole = checksum == _checksum(kind, content)
        if kind == b"IDAT":
            if not is_whole and len(checksum) == 4:
                raise UnreadableImage("cannot be decoded, the checksum of its pixels is wrong")
            pixels.append(content)  # a last one that is cut may still hold all pixels
        elif kind == b"IEND":
            break
        elif kind == b"CgBI":
            raise UnsupportedImage(
                "must be a standard PNG; got Apple's variant for apps (CgBI); export it as PNG"
            )
        elif is_whole and kind in (*_PICTURE, *_METADATA):
            found.setdefault(kind, content)
        elif not is_whole and kind in (b"IHDR", b"PLTE"):
            raise UnreadableImage("cannot be decoded, its beginning is broken")
    if len(found.get(b"IHDR", b"")) != 13:
        raise UnreadableImage("cannot be decoded, its beginning is broken")
    return {**found, b"IDAT": b"".join(pixels), b"IEND": b""}


def _file_of(chunks: dict[bytes, bytes]) -> bytes:
    """A PNG file of what makes the picture."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(chunks[kind])) + kind + chunks[kind] + _checksum(kind, chunks[kind])
        for kind in (*_PICTURE, b"IDAT", b"IEND")
        if kind in chunks
    )


def _checksum(kind: bytes, content: bytes) -> bytes:
    return zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")


def _profile(chunks: dict[bytes, bytes]) -> bytes | None:
    """The ICC profile of the colours, in the order of precedence that the PNG standard gives."""
    coded = chunks.get(b"cICP", b"")
    if len(coded) == 4 and coded[2:] == b"\0\1":
        return _profile_of_code_points(coded[0], coded[1])
    profile = _unpacked(chunks.get(b"iCCP", b""))
    if profile is not None:
        return profile
    if b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"], "big")
    chromaticities = chunks.get(b"cHRM", b"")
    is_near_srgb = abs(gamma / _SRGB_GAMMA - 1) <= _SAME_GAMMA
    if gamma == 0 or (is_near_srgb and not chromaticities):
        return None
    points: Sequence[float] = (*_WHITE, *_PRIMARIES)
    if len(chromaticities) == 32:
        points = [value / 100_000 for value in struct.unpack(">8I", chromaticities)]
    return profile_of_primaries(points[:2], points[2:], gamma=100_000 / gamma)


def _profile_of_code_points(primaries: int, curve: int) -> bytes | None:
    if curve in _CICP_HDR:
        raise UnsupportedImage(
            f"must have standard dynamic range; got HDR ({_CICP_HDR[curve]}); export it as sRGB"
        )
    if primaries not in _CICP_PRIMARIES or curve not in _CICP_GAMMAS:
        return None
    return profile_of_primaries(_WHITE, _CICP_PRIMARIES[primaries], gamma=_CICP_GAMMAS[curve])


def _unpacked(chunk: bytes) -> bytes | None:
    """The profile of an `iCCP` chunk; None if it is damaged or unpacks to too much."""
    _, _, packed = chunk.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _MAX_PROFILE)
    except zlib.error:
        return None
    return profile if unpacker.eof and is_profile(profile) else None
