"""Images of every kind that artists send and attackers bend: each made here, so that what is in it
can be read.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping

from PIL import Image

from testkit.jobs import drawing, encoded

SIZE = (24, 16)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
ORIENTATION, EXIF_IFD = 0x0112, 0x8769

# Types of TIFF values
SHORT, LONG = 3, 4
GRAY = {256: 16, 257: 16}  # width and height of a TIFF file


def seeds() -> dict[str, bytes]:
    """Good images: every format in the modes, compressions and containers that it has."""
    rgb = drawing(*SIZE)
    gray, palette, alpha = rgb.convert("L"), rgb.quantize(8), rgb.convert("RGBA")
    alpha.putalpha(gray)
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = 6, "camera"
    modes = {
        "rgb": rgb,
        "gray": gray,
        "palette": palette,
        "rgba": alpha,
        "gray alpha": alpha.convert("LA"),
    }
    modes |= {"one bit": rgb.convert("1"), "16 bits": gray.convert("I;16")}
    found = {f"png, {name}": encoded(image) for name, image in modes.items()}
    found |= {
        f"tiff, {name}": encoded(image, "TIFF")
        for name, image in modes.items()
        if name != "gray alpha"
    }
    found |= {
        f"tiff, {compression}": encoded(rgb, "TIFF", compression=compression)
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd")
    }
    found |= {
        f"tiff, {fax}": encoded(rgb.convert("1"), "TIFF", compression=fax)
        for fax in ("group3", "group4")
    }
    found |= {
        "png, animated": encoded(rgb, save_all=True, append_images=[drawing(*SIZE, "red")]),
        "png, with everything": encoded(rgb, exif=exif, icc_profile=b"profile" * 30, dpi=(72, 72)),
        "png, transparent colour": encoded(palette, transparency=1),
        "jpeg, rgb": encoded(rgb, "JPEG"),
        "jpeg, gray": encoded(gray, "JPEG"),
        "jpeg, cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "jpeg, progressive": encoded(rgb, "JPEG", progressive=True, subsampling=2),
        "jpeg, with everything": encoded(
            rgb, "JPEG", exif=exif, icc_profile=b"profile" * 30, comment=b"words"
        ),
        "jpeg, of a phone": encoded(rgb, "MPO", save_all=True, append_images=[rgb]),
        "webp, lossy": encoded(rgb, "WEBP"),
        "webp, lossless": encoded(alpha, "WEBP", lossless=True),
        "webp, alpha": encoded(alpha, "WEBP"),
        "webp, animated": encoded(
            rgb, "WEBP", save_all=True, append_images=[drawing(*SIZE, "red")]
        ),
        "webp, with everything": encoded(rgb, "WEBP", exif=exif, icc_profile=b"profile" * 30),
        "tiff, cmyk": encoded(rgb.convert("CMYK"), "TIFF"),
        "tiff, ycbcr": encoded(rgb.convert("YCbCr"), "TIFF", compression="jpeg"),
        "tiff, many pages": encoded(rgb, "TIFF", save_all=True, append_images=[rgb, rgb]),
        "tiff, with everything": encoded(
            rgb, "TIFF", exif=exif, icc_profile=b"profile" * 30, dpi=(72, 72)
        ),
        "tiff, big": encoded(rgb, "TIFF", big_tiff=True),
        "tiff, tiles": tiff({256: 16, 257: 16, 322: 16, 323: 16, 324: ..., 325: 256}, bytes(256)),
    }
    return found


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(
    chunks: Iterable[tuple[bytes, bytes]] = (),
    *,
    size: tuple[int, int] = SIZE,
    bits: int = 8,
    colours: int = 2,
    pixels: bytes | None = None,
) -> bytes:
    """A PNG file with these chunks before its pixels (filter bytes and samples, to be
    compressed).
    """
    width, height = size
    if pixels is None:
        pixels = (b"\0" + bytes(width * 3)) * height
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    between = b"".join(chunk(kind, data) for kind, data in chunks)
    return (
        PNG_SIGNATURE + head + between + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    )


def tiff(tags: Mapping[int, object], pixels: bytes, *, next_directory: int = 0) -> bytes:
    """A little-endian TIFF file: gray unless the tags say otherwise.

    Args:
        tags: values by number: an int, `(type, count, value or offset)`, or `...` for where the
            pixels lie.
        pixels: what follows the directory.
        next_directory: where the file says that the next one lies; 8 is this one.
    """
    plain = {258: 8, 259: 1, 262: 1, 277: 1, 278: tags.get(257, 1), 273: ..., 279: len(pixels)}
    if 324 in tags:
        plain = {number: value for number, value in plain.items() if number not in (273, 278, 279)}
    entries = sorted({**plain, **tags}.items())
    after = 8 + 2 + 12 * len(entries) + 4
    directory = struct.pack("<H", len(entries))
    for number, value in entries:
        kind, count, content = (
            value if isinstance(value, tuple) else (LONG, 1, after if value is ... else value)
        )
        directory += struct.pack("<HHII", number, kind, count, content)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_directory) + pixels


def exif_of(entries: Iterable[tuple[int, int, int, int]], *, next_directory: int = 0) -> bytes:
    """EXIF data with one directory of `(tag, type, count, value or offset)`."""
    entries = list(entries)
    directory = struct.pack(">H", len(entries)) + b"".join(
        struct.pack(">HHII", *entry) for entry in entries
    )
    return b"MM\0*" + struct.pack(">I", 8) + directory + struct.pack(">I", next_directory)


def jpeg_with_exif(exif: bytes) -> bytes:
    """A JPEG file with this EXIF data."""
    return encoded(drawing(*SIZE), "JPEG", exif=b"Exif\0\0" + exif)


def zeros(count: int) -> bytes:
    """Zeros, compressed to a thousandth."""
    compressor = zlib.compressobj(9)
    parts = [compressor.compress(bytes(2**20)) for _ in range(count // 2**20)]
    return b"".join(parts) + compressor.flush()


def jpeg_with_size(width: int, height: int) -> bytes:
    """A JPEG file whose frame header says so."""
    data = bytearray(encoded(drawing(*SIZE), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_with_size(width: int, height: int) -> bytes:
    """A WebP file of the extended form whose canvas is said to be so large."""
    data = bytearray(
        encoded(drawing(*SIZE).convert("RGBA"), "WEBP", exif=Image.Exif().tobytes(), lossless=True)
    )
    place = data.index(b"VP8X") + 12
    data[place : place + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: each has to be decoded for
    nothing.
    """
    data = encoded(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]
