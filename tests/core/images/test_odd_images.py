"""Odd images that are read: rare kinds, trailing data, broken metadata and profiles.

Each goes through a process that decodes, as in the gateway.
"""

import os

import numpy as np
import pytest

from core.images.pool import Decoders
from testkit.images import corpus
from testkit.images.corpus import (
    EXIF_IFD,
    GRAY,
    ORIENTATION,
    SIZE,
    exif_of,
    jpeg_with_exif,
    png_of,
    tiff,
)
from testkit.images.decoders import accepted
from testkit.jobs import drawing, encoded

RGB = drawing(*SIZE)


class TestGoodOnes:
    @pytest.mark.parametrize("name", corpus.seeds())
    def test_each_kind_is_read(self, decoders: Decoders, name: str) -> None:
        """In a process that cannot open a file any more: nothing is fetched late."""
        kind, width, height = accepted(decoders, corpus.seeds()[name])
        assert kind == f"image/{name.partition(',')[0]}"
        assert (width, height) in (SIZE, SIZE[::-1], (16, 16))

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (encoded(RGB) + b"<html><script>alert(1)</script></html>", "image/png"),
            (encoded(RGB, "JPEG") + b"PK\3\4" + bytes(100), "image/jpeg"),
            (png_of([(b"tEXt", b"Comment\0<?php system($_GET[0]); ?>")]), "image/png"),
            (jpeg_with_exif(exif_of([(0x9286, 2, 8, 0x3C736372)])), "image/jpeg"),
            (tiff(GRAY, bytes(256)) + b"%PDF-1.7", "image/tiff"),
        ],
    )
    def test_two_formats_in_one_file(self, decoders: Decoders, data: bytes, kind: str) -> None:
        """It is what we decode it as, and is never served as anything else."""
        assert accepted(decoders, data)[0] == kind

    def test_sixteen_bits_of_colour(self, decoders: Decoders) -> None:
        """Gray is scaled (test_images.py); colours lose their lower half."""
        samples = np.full((16, 24, 3), 0x80FF, ">u2").reshape(16, -1).view(np.uint8)
        data = png_of(bits=16, pixels=b"".join(b"\0" + row.tobytes() for row in samples))
        _, _, pixels = decoders.draw(data)
        assert set(pixels) == {0x80}

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_few_bits(self, decoders: Decoders, bits: int) -> None:
        """Line art as scanners store it: the highest level is white."""
        data = png_of(bits=bits, colours=0, pixels=(b"\0" + b"\xff" * (24 * bits // 8)) * 16)
        assert set(decoders.draw(data).pixels) == {255}

    @pytest.mark.parametrize(
        "entry",
        [
            (ORIENTATION, 3, 1, 0),
            (ORIENTATION, 3, 1, 9 << 16),
            (ORIENTATION, 3, 1, 0xFFFF0000),
            (ORIENTATION, 2, 2, 0x36000000),
            (ORIENTATION, 5, 1, 8),
            (ORIENTATION, 3, 0xFFFFFFFF, 8),
            (ORIENTATION, 12, 1, 8),
            (ORIENTATION, 999, 1, 8),
            (EXIF_IFD, 4, 1, 8),
            (EXIF_IFD, 4, 1, 0xFFFFFFFF),
        ],
    )
    def test_nonsense_of_a_camera(
        self, decoders: Decoders, entry: tuple[int, int, int, int]
    ) -> None:
        """A directory that leads to itself, a size without end, an orientation that is none: shown
        upright.
        """
        data = jpeg_with_exif(exif_of([entry], next_directory=8))
        assert accepted(decoders, data) == ("image/jpeg", *SIZE)

    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("profile", [b"", b"x", b"\xff" * 128, os.urandom(300_000)], ids=len)
    def test_colour_profile_that_is_none(
        self, decoders: Decoders, file_format: str, profile: bytes
    ) -> None:
        """The levels are taken as sRGB."""
        assert accepted(decoders, encoded(RGB, file_format, icc_profile=profile))[1:] == SIZE
