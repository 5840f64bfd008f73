"""Unpack strips and tiles of a TIFF page without trusting their sizes."""

import zlib
from collections.abc import Callable
from math import ceil
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, TiffPage

Unpacker = Callable[[bytes, int], bytes | bytearray]  # packed bytes, and at most how many unpacked


def _inflate(packed: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(packed, size)


UNPACKERS: dict[int, Unpacker] = {
    COMPRESSION.LZW: lambda packed, size: imagecodecs.lzw_decode(packed, out=size),
    COMPRESSION.ADOBE_DEFLATE: _inflate,
    COMPRESSION.DEFLATE: _inflate,
    COMPRESSION.PACKBITS: lambda packed, size: imagecodecs.packbits_decode(packed, out=size),
    COMPRESSION.LZMA: lambda packed, size: imagecodecs.lzma_decode(packed, out=size),
    COMPRESSION.ZSTD: lambda packed, size: imagecodecs.zstd_decode(packed, out=size),
}


def read_samples(page: TiffPage, data: bytes) -> NDArray[Any]:
    """The samples of a page, `(planes, 1, height, width, samples)`.

    Each strip or tile is unpacked to at most its full size. tifffile itself would refuse a last
    strip with more rows than the picture has left, and some writers fill it up.

    Raises:
        Exception: damage, as tifffile or a decoder says it.
    """
    unpack = UNPACKERS.get(page.compression)
    if unpack is None:
        return page.asarray(squeeze=False, maxworkers=1)
    size = _segment_bytes(page)
    page.compression = COMPRESSION.NONE  # of what `page.decode` is given from here on
    found = np.zeros(page.shaped, page.dtype)
    _, _, height, width, _ = page.shaped
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    for index, (offset, count) in enumerate(segments):
        unpacked = unpack(data[offset : offset + count], size)
        samples, (plane, _, top, left, _), (_, rows, columns, _) = page.decode(unpacked, index)
        if samples is not None:
            found[plane, 0, top : top + rows, left : left + columns] = samples[
                0, : height - top, : width - left
            ]
    return found


def _segment_bytes(page: TiffPage) -> int:
    """Bytes of a full strip or tile."""
    rows, width = page.rowsperstrip, page.imagewidth
    if page.is_tiled:
        rows, width = page.tilelength, page.tilewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    return rows * ceil(width * samples * int(page.bitspersample) / 8)
