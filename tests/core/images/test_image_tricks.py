"""What attackers make of images, by hand: other formats, bombs, loops and lies about sizes.

Each goes through a process that decodes, as in the gateway, and leaves it alive unless its limits
had to end it.
"""

import zlib
from contextlib import suppress

import pytest
from PIL import Image

from core.images.errors import ImageRefused, UnreadableImage
from core.images.pool import Decoders
from testkit.images import corpus
from testkit.images.corpus import (
    EXIF_IFD,
    GRAY,
    LONG,
    SIZE,
    png_of,
    tiff,
    zeros,
)
from testkit.images.decoders import TIGHT_LIMITS, accepted, children
from testkit.jobs import drawing, encoded

BOMB = zeros(200 * 2**20)
RGB = drawing(*SIZE)
BROKEN = "cannot be decoded, "
NONE_OF_THEM = "must be a PNG, JPEG, WebP or TIFF image; "


def refused(decoders: Decoders, data: bytes) -> str:
    """The words of the refusal; the process that refused lives on."""
    decoders.inspect(encoded(RGB))
    before = children()
    with pytest.raises(ImageRefused) as refusal:
        decoders.inspect(data)
    assert children() == before
    return str(refusal.value)


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
        refused(decoders, bytes(TIGHT_LIMITS.max_bytes + 1))
        == "must have at most 2097152 bytes; got 2097153"
    )
