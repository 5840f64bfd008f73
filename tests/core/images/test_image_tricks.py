"""What attackers make of images, by hand: bombs, loops, lies about sizes, two formats in one file.

Each goes through a process that decodes, as in the gateway, and leaves it alive unless its limits
had to end it.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from PIL import Image

from core.images.decoder import DecoderLimits
from core.images.errors import ImageRefused, UnreadableImage
from core.images.pool import Decoders
from testkit.images import corpus
from testkit.images.corpus import (
    EXIF_IFD,
    LONG,
    ORIENTATION,
    SIZE,
    exif_of,
    jpeg_with_exif,
    png_of,
    tiff,
    zeros,
)
from testkit.images.decoders import children
from testkit.jobs import drawing, encoded

LIMITS = DecoderLimits(max_pixels=1_000_000, max_bytes=2 * 2**20, cpu_time=timedelta(seconds=1))
BOMB = zeros(200 * 2**20)
RGB = drawing(*SIZE)
GRAY = {256: 16, 257: 16}  # width and height of a TIFF file
BROKEN = "cannot be decoded, "
NONE_OF_THEM = "must be a PNG, JPEG, WebP or TIFF image; "


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(LIMITS)
    yield decoders
    decoders.close()


def accepted(decoders: Decoders, data: bytes) -> tuple[str, int, int]:
    """Type and size, once it was drawn as well."""
    facts, (width, height, _) = decoders.inspect(data), decoders.draw(data)
    assert (facts.width, facts.height) == (width, height)
    return facts.content_type, width, height


def refused(decoders: Decoders, data: bytes) -> str:
    """The words of the refusal; the process that refused lives on."""
    decoders.inspect(encoded(RGB))
    before = children()
    with pytest.raises(ImageRefused) as refusal:
        decoders.inspect(data)
    assert children() == before
    return str(refusal.value)


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


class TestOtherFormats:
    @pytest.mark.parametrize(
        "data",
        [
            *(
                encoded(RGB, name)
                for name in (
                    "GIF",
                    "BMP",
                    "ICO",
                    "PPM",
                    "TGA",
                    "JPEG2000",
                    "AVIF",
                    "DDS",
                    "PDF",
                    "EPS",
                )
            ),
            b"8BPS\0\1" + bytes(100),
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(/etc/passwd) (r) file",
            b"push graphic-context\nviewbox 0 0 8 8\nfill 'url(https://127.0.0.1/)'\n",
            b"<html><body>",
            b"PK\3\4" + bytes(100),
            b"%PDF-1.7\n" + encoded(RGB),
            b"GIF89a" + b"PK\3\4" * 20,
            b"\0",
        ],
    )
    def test_are_refused_whatever_their_name(self, decoders: Decoders, data: bytes) -> None:
        """No name is ever looked at, and no reader beyond the four, which start no program, is
        tried.
        """
        assert refused(decoders, data).startswith(NONE_OF_THEM)


class TestBombs:
    @pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
    def test_text_that_unpacks_to_200_mib(self, decoders: Decoders, kind: bytes) -> None:
        """It is not unpacked, or only as far as a profile may go; the picture is read."""
        assert accepted(decoders, png_of([(kind, b"a\0\0" + BOMB)]))[1:] == SIZE

    def test_a_hundred_texts_of_a_mebibyte(self, decoders: Decoders) -> None:
        """None of them is unpacked."""
        text = (b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 10)))
        assert accepted(decoders, png_of([text] * 100))[1:] == SIZE

    def test_more_pixels_than_the_picture_has(self, decoders: Decoders) -> None:
        """What is past its end is not unpacked."""
        assert (
            accepted(decoders, png_of(pixels=(b"\0" + bytes(72)) * 16 + bytes(100 * 2**20)))[1:]
            == SIZE
        )
        assert accepted(decoders, tiff(GRAY | {259: 8}, BOMB)) == ("image/tiff", 16, 16)

    @pytest.mark.parametrize(
        "data",
        [
            png_of(size=(16_000, 16_000), pixels=b""),
            png_of(size=(2**31 - 1, 2**31 - 1), pixels=b""),
            corpus.jpeg_with_size(65_535, 65_535),
            tiff({256: 10_000, 257: 10_000}, b""),
            tiff({256: 2**32 - 1, 257: 2**32 - 1}, b""),
        ],
        ids=["png", "largest png", "jpeg", "tiff", "largest tiff"],
    )
    def test_size_that_is_only_claimed(self, decoders: Decoders, data: bytes) -> None:
        """The header is enough to refuse it, and says why."""
        assert refused(decoders, data).startswith("must ")

    @pytest.mark.parametrize("size", [(900, 900), (16_384, 16_384)])
    def test_canvas_larger_than_its_picture(
        self, decoders: Decoders, size: tuple[int, int]
    ) -> None:
        """WebP says its size twice."""
        assert refused(decoders, corpus.webp_with_size(*size)).startswith(BROKEN)

    def test_scans_without_end(self, decoders: Decoders) -> None:
        """A JPEG of 124 kB that takes minutes: each of its scans passes over all pixels again."""
        data = corpus.scans(10_000)
        assert len(data) < 130_000
        with pytest.raises(UnreadableImage, match="within 1 s of CPU time; it takes longer"):
            decoders.inspect(data)
        assert accepted(decoders, encoded(RGB))[1:] == SIZE


class TestLies:
    @pytest.mark.parametrize(
        "data",
        [
            png_of(size=(0, 16)),
            png_of(size=(16, 0)),
            png_of(bits=3),
            png_of(colours=5),
            png_of(pixels=b""),
            png_of(colours=3, pixels=(b"\0" + bytes(24)) * 16),
            corpus.jpeg_with_size(0, 16),
            corpus.jpeg_with_size(16, 0),
            tiff({256: 0, 257: 16}, bytes(256)),
            tiff(GRAY | {273: 0xFFFFFFF0}, bytes(256)),
            tiff(GRAY | {273: (LONG, 0x40000000, 8)}, bytes(256)),
            tiff(GRAY | {277: 65_535}, bytes(256)),
            tiff(GRAY | {322: 65_535, 323: 65_535, 324: ..., 325: 256}, bytes(256)),
            tiff(
                GRAY | {322: 65_535, 323: 65_535, 324: ..., 325: 256, 259: 8},
                zlib.compress(bytes(256)),
            ),
            tiff(GRAY | {322: 16_384, 323: 16_384, 324: ..., 325: len(BOMB), 259: 8}, BOMB),
            *(
                tiff(GRAY | {259: number}, bytes(range(256)))
                for number in (2, 3, 4, 5, 7, 8, 34_925, 50_000, 50_001)
            ),
        ],
    )
    def test_of_sizes_places_and_packing(self, decoders: Decoders, data: bytes) -> None:
        """Refused as broken, not as an image of another format, which would send its author
        astray.
        """
        assert refused(decoders, data).startswith(BROKEN)

    @pytest.mark.parametrize(
        "tags",
        [
            {279: 0xFFFFFFFF},
            {278: 0xFFFFFFFF},
            {EXIF_IFD: 8},
            {34_675: (7, 0x7FFFFFFF, 8)},
            {700: (1, 0x7FFFFFFF, 8)},
        ],
    )
    def test_that_harm_nobody(self, decoders: Decoders, tags: dict[int, object]) -> None:
        """Loops and sizes in tags that are not read; the picture is whole."""
        assert accepted(decoders, tiff(GRAY | tags, bytes(256), next_directory=8)) == (
            "image/tiff",
            16,
            16,
        )

    @pytest.mark.parametrize("number", [6, 1234, 34_712])
    def test_packing_that_is_not_read(self, decoders: Decoders, number: int) -> None:
        """It is named, whatever the bytes are."""
        refusal = refused(decoders, tiff(GRAY | {259: number}, bytes(range(256))))
        assert refusal.startswith("must have no, LZW, ZIP or PackBits compression; got ")

    @pytest.mark.parametrize("mode", ["LAB", "F", "I"])
    def test_levels_without_a_meaning(self, decoders: Decoders, mode: str) -> None:
        """No value is known to be white, so none is guessed."""
        assert refused(decoders, encoded(Image.new(mode, SIZE), "TIFF")).startswith("must ")

    @pytest.mark.parametrize(
        "name", ["png, rgb", "jpeg, progressive", "webp, lossy", "tiff, tiff_lzw"]
    )
    def test_file_that_ends_anywhere(self, decoders: Decoders, name: str) -> None:
        """Wherever it broke off, it is refused or, where nothing but an end mark is missing,
        whole.
        """
        whole = corpus.seeds()[name]
        expected = decoders.draw(whole)
        for kept in range(len(whole)):
            with suppress(ImageRefused):
                assert decoders.draw(whole[:kept]) == expected
        assert len(children()) == 1


def test_image_larger_than_its_limit(decoders: Decoders) -> None:
    """An oversized image is not sent to a process."""
    assert (
        refused(decoders, bytes(LIMITS.max_bytes + 1))
        == "must have at most 2097152 bytes; got 2097153"
    )
