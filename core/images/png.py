"""Read PNG from its picture chunks alone, so that no metadata can spoil it."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import imagecodecs

from core.images.colour import is_profile, profile_of_primaries
from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.exif import orientation_of
from core.images.picture import Picture, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"

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


@dataclass
class _Chunks:
    """The chunks of a file that are looked at, without lengths and checksums."""

    header: bytes = b""
    palette: bytes = b""
    transparency: bytes = b""
    pixels: list[bytes] = field(default_factory=list)
    metadata: dict[bytes, bytes] = field(default_factory=dict)  # of each kind the first one


def read_png(data: bytes, max_pixels: int) -> Picture:
    """Decode the still picture of a PNG file; of an animation, its default picture.

    Raises:
        ImageRefused: too large, damaged, or of a variant that is not read.
        Exception: other damage, as the decoder says it.
    """
    chunks = _chunks(data)
    width, height = struct.unpack(">II", chunks.header[:8])
    check_size(width, height, max_pixels)
    levels = imagecodecs.png_decode(_file_of(chunks)).reshape(height, width, -1)
    channels = levels.shape[2]
    has_alpha = channels in (2, 4)
    return Picture(
        levels[:, :, : channels - has_alpha],
        levels[:, :, -1] if has_alpha else None,
        _profile(chunks.metadata),
        orientation_of(chunks.metadata.get(b"eXIf", b"")),
    )


def _chunks(data: bytes) -> _Chunks:
    """Sort the chunks up to the end of the file, skipping ancillary ones with a wrong checksum."""
    found = _Chunks()
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + length]
        checksum = data[place + 8 + length : place + 12 + length]
        place += 12 + length
        is_whole = checksum == zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")
        if kind == b"IDAT":
            if not is_whole and len(checksum) == 4:
                raise UnreadableImage("cannot be decoded, the checksum of its pixels is wrong")
            found.pixels.append(content)  # a last one that is cut may still hold all pixels
        elif kind == b"IEND":
            break
        elif kind == b"CgBI":
            raise UnsupportedImage(
                "must be a standard PNG; got Apple's variant for apps (CgBI); export it as PNG"
            )
        elif is_whole:
            _keep(found, kind, content)
        elif kind in (b"IHDR", b"PLTE"):
            raise UnreadableImage("cannot be decoded, its beginning is broken")
    if len(found.header) != 13:
        raise UnreadableImage("cannot be decoded, its beginning is broken")
    return found


def _keep(found: _Chunks, kind: bytes, content: bytes) -> None:
    if kind == b"IHDR":
        found.header = found.header or content
    elif kind == b"PLTE":
        found.palette = found.palette or content
    elif kind == b"tRNS":
        found.transparency = found.transparency or content
    elif kind in _METADATA:
        found.metadata.setdefault(kind, content)


def _file_of(chunks: _Chunks) -> bytes:
    """A PNG file of what makes the picture."""
    parts = [(b"IHDR", chunks.header)]
    parts += [(b"PLTE", chunks.palette)] if chunks.palette else []
    parts += [(b"tRNS", chunks.transparency)] if chunks.transparency else []
    parts += [(b"IDAT", b"".join(chunks.pixels)), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
        for kind, content in parts
    )


def _profile(metadata: dict[bytes, bytes]) -> bytes | None:
    """The ICC profile of the colours, in the order of precedence that the PNG standard gives."""
    coded = metadata.get(b"cICP", b"")
    if len(coded) == 4 and coded[2:] == b"\0\1":
        return _profile_of_code_points(coded[0], coded[1])
    profile = _unpacked(metadata.get(b"iCCP", b""))
    if profile is not None:
        return profile
    if b"sRGB" in metadata or len(metadata.get(b"gAMA", b"")) != 4:
        return None
    gamma = int.from_bytes(metadata[b"gAMA"], "big")
    chromaticities = metadata.get(b"cHRM", b"")
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
