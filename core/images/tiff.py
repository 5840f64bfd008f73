"""Read the first picture of a TIFF with tifffile and imagecodecs."""

import io
import logging
import struct
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, SAMPLEFORMAT, TiffFile, TiffPage

from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.picture import BAND, Levels, Picture, check_size, looked_up, spread
from core.images.strips import UNPACKERS, read_samples

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_ORIENTATION, _ICC_PROFILE = 274, 34_675
# Size, layout and meaning of the samples; each has a default that may be wrong
_TAGS_OF_PICTURE = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320),
    *(322, 323, 324, 325, 332, 338, 339, 347, 529, 530, 532),
}
_CHANNELS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.YCBCR: 3,
    PHOTOMETRIC.SEPARATED: 4,
}
_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITT_T4, COMPRESSION.CCITT_T6)
_COMPRESSIONS = (*_FAX, COMPRESSION.NONE, COMPRESSION.JPEG, COMPRESSION.WEBP, *UNPACKERS)
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_MAX_SAMPLES = 32  # for each pixel; layers and masks of paint programs are stored in other ways
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs what it finds in files
_INSTEAD = "export it as 8-bit or 16-bit RGB or gray, as TIFF or PNG"


def read_tiff(data: bytes, max_pixels: int) -> Picture:
    """Decode the first picture of a TIFF or BigTIFF file.

    Raises:
        ImageRefused: too large, truncated, or of a variant that is not read.
        Exception: other damage, as the decoder says it.
    """
    with TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        _check_tags(file, page, data)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_variant(page)
        _check_segments(page, len(data), max_pixels)
        samples = _samples(page, data)
        channels = _CHANNELS[page.photometric]
        levels, alpha = samples[:, :, :channels], _alpha(page, samples)
        if page.photometric == PHOTOMETRIC.PALETTE:
            levels = _from_palette(page, levels)
        elif page.photometric == PHOTOMETRIC.MINISWHITE:
            levels = np.iinfo(levels.dtype).max - levels
        if alpha is not None and EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
            levels = _straight(levels, alpha)
        return Picture(levels, alpha, _profile(page), _orientation(page))


def _check_tags(file: TiffFile, page: TiffPage, data: bytes) -> None:
    """Refuse a file with a tag of the picture that is senseless, or that tifffile left out.

    For one that is left out, tifffile would take the default.
    """
    numbers = [page.imagewidth, page.imagelength, page.photometric, page.compression]
    numbers += [page.samplesperpixel, page.planarconfig, page.predictor, page.fillorder]
    if not all(isinstance(number, int) for number in numbers):
        raise UnreadableImage("cannot be decoded, a tag of its picture is no whole number")
    layout = file.tiff
    (count,) = struct.unpack_from(layout.tagnoformat, data, page.offset)
    first = page.offset + layout.tagnosize
    for place in range(first, first + count * layout.tagsize, layout.tagsize):
        (code,) = struct.unpack_from(f"{layout.byteorder}H", data, place)
        if code in _TAGS_OF_PICTURE and code not in page.tags:
            raise UnreadableImage("cannot be decoded, a tag of its picture cannot be read")


def _check_variant(page: TiffPage) -> None:
    """Name what is not read. A file of such a kind is sound: the caller can export another."""
    if page.photometric not in _CHANNELS:
        name = getattr(page.photometric, "name", page.photometric)
        raise UnsupportedImage(
            f"must be gray, RGB, CMYK, YCbCr or have a palette; got {name}; {_INSTEAD}"
        )
    if page.compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", page.compression)
        raise UnsupportedImage(
            f"must have no, LZW, ZIP or PackBits compression; got {name}; {_INSTEAD}"
        )
    if page.sampleformat not in (SAMPLEFORMAT.UINT, SAMPLEFORMAT.VOID):
        kind = "signed" if page.sampleformat == SAMPLEFORMAT.INT else "floating-point"
        raise UnsupportedImage(
            "must have whole numbers of 8 or 16 bits per channel; "
            f"got {page.bitspersample}-bit {kind} ones; {_INSTEAD}"
        )
    if page.bitspersample not in range(1, 17):
        bits = page.bitspersample if isinstance(page.bitspersample, int) else "a mixture"
        raise UnsupportedImage(f"must have 8 or 16 bits per channel; got {bits}; {_INSTEAD}")
    if page.photometric == PHOTOMETRIC.SEPARATED and set(page.extrasamples) & set(_ALPHA):
        raise UnsupportedImage(
            "must have no alpha as CMYK; got CMYK with alpha; export it as RGB, or without alpha"
        )
    is_plain = page.bitspersample == 8 and not page.is_subsampled
    is_jpeg = page.compression == COMPRESSION.JPEG
    if page.photometric == PHOTOMETRIC.YCBCR and not (is_plain or is_jpeg):
        raise UnsupportedImage(
            "must have JPEG compression as subsampled YCbCr; "
            f"got {getattr(page.compression, 'name', page.compression)}; {_INSTEAD}"
        )
    is_rgb = page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
    if EXTRASAMPLE.ASSOCALPHA in page.extrasamples and not is_rgb:
        raise UnsupportedImage(
            "must have straight alpha unless it is RGB; got premultiplied alpha; "
            "export it as RGB, with straight alpha, or without alpha"
        )


def _check_segments(page: TiffPage, file_bytes: int, max_pixels: int) -> None:
    """Refuse a file without all of its strips or tiles: tifffile would fill in zeros.

    Strips without compression are left to the decoders, since their byte counts may be wrong.
    """
    samples, depth = page.samplesperpixel, page.imagedepth
    if depth != 1:
        raise UnsupportedImage(f"must be flat; got a depth of {depth}; {_INSTEAD}")
    if not _CHANNELS[page.photometric] <= samples <= _MAX_SAMPLES:
        raise UnreadableImage(f"cannot be decoded, it claims {samples} samples per pixel")
    if page.compression in _FAX and page.bitspersample != 1:
        raise UnreadableImage("cannot be decoded, its compression is for 1 bit per pixel")
    if page.is_tiled:
        if page.tilewidth * page.tilelength > max(max_pixels, 1):
            raise UnreadableImage("cannot be decoded, its tiles are larger than a picture may be")
        columns = ceil(page.imagewidth / page.tilewidth)
        expected = columns * ceil(page.imagelength / page.tilelength)
    else:
        expected = ceil(page.imagelength / page.rowsperstrip)
    expected *= samples if page.planarconfig == 2 else 1
    offsets, counts = page.dataoffsets[:expected], page.databytecounts[:expected]
    are_there = len(offsets) == len(counts) == expected and all(offsets) and all(counts)
    ends = (offset + count for offset, count in zip(offsets, counts, strict=False))
    if not are_there or (page.compression != COMPRESSION.NONE and max(ends) > file_bytes):
        raise UnreadableImage("cannot be decoded, it is truncated")


def _samples(page: TiffPage, data: bytes) -> Levels:
    """`(height, width, samples)`, over the full range of 8 or 16 bits."""
    is_ycbcr = page.photometric == PHOTOMETRIC.YCBCR and page.compression != COMPRESSION.JPEG
    planes, _, height, width, samples = page.shaped
    by_plane = read_samples(page, data).reshape(planes, height, width, samples)
    levels = np.moveaxis(by_plane, 0, 2).reshape(height, width, planes * samples)
    if is_ycbcr:
        return np.asarray(Image.fromarray(levels[:, :, :3], "YCbCr").convert("RGB"))
    if page.photometric == PHOTOMETRIC.PALETTE:
        return levels
    return spread(levels, int(page.bitspersample))


def _from_palette(page: TiffPage, indices: Levels) -> NDArray[np.uint8]:
    """The colours of a palette have 16 bits; some writers use only the lower 8."""
    palette = np.asarray(page.colormap)
    eight_bits = palette if palette.max() < 256 else palette >> 8
    return looked_up(eight_bits.T.astype(np.uint8), indices[:, :, 0])


def _alpha(page: TiffPage, samples: Levels) -> Levels | None:
    """The first sample that is said to be alpha; a fourth one that RGB leaves unsaid is alpha."""
    channels = _CHANNELS[page.photometric]
    if page.photometric == PHOTOMETRIC.RGB and samples.shape[2] == 4 and not page.extrasamples:
        return samples[:, :, 3]
    for number, kind in enumerate(page.extrasamples, start=channels):
        if kind in _ALPHA and number < samples.shape[2]:
            alpha = samples[:, :, number]
            is_index = page.photometric == PHOTOMETRIC.PALETTE
            return spread(alpha, int(page.bitspersample)) if is_index else alpha
    return None


def _straight(levels: Levels, alpha: Levels) -> Levels:
    """Divide premultiplied levels by their alpha."""
    most = np.iinfo(levels.dtype).max
    straight = np.empty_like(levels)
    for top in range(0, len(levels), BAND):
        rows = slice(top, top + BAND)
        divisor = np.maximum(alpha[rows], 1).astype(np.uint32)[:, :, None]
        divided = (levels[rows].astype(np.uint32) * most + divisor // 2) // divisor
        straight[rows] = np.minimum(divided, most)
    return straight


def _profile(page: TiffPage) -> bytes | None:
    profile = page.tags.valueof(_ICC_PROFILE)
    return profile if isinstance(profile, bytes) else None


def _orientation(page: TiffPage) -> int:
    orientation = page.tags.valueof(_ORIENTATION)
    return orientation if orientation in range(1, 9) else 1
