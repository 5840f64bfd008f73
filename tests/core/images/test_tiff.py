"""TIFF as paint programs, renderers and scanners write it: read right, or named."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.formats import inspect_image
from testkit.images.corpus import tiff
from testkit.images.paper import read_on_white
from testkit.images.profiles import ADOBE_RGB, LINEAR_GRAY, LINEAR_RGB, printer_profile

MAX_PIXELS = 100_000
LEFT, RIGHT = (231, 57, 34), (10, 161, 60)


def halves(kind: type[np.generic] = np.uint8, *more: int) -> np.ndarray:
    """Two colours side by side, and constant further channels."""
    levels = np.zeros((40, 64, 3 + len(more)), np.uint32)
    levels[:, :32], levels[:, 32:] = (*LEFT, *more), (*RIGHT, *more)
    return (levels * (257 if kind == np.uint16 else 1)).astype(kind)


def planes(levels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(levels.transpose(2, 0, 1))


def written(levels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, levels, **options)
    return file.getvalue()


def rgb(levels: np.ndarray, **options: object) -> bytes:
    return written(levels, photometric="rgb", **options)


def colours(data: bytes) -> tuple[list[int], list[int]]:
    """At a quarter and at three quarters of the width."""
    drawing = np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))
    return drawing[20, 16].tolist(), drawing[20, 48].tolist()


class TestLayouts:
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"rowsperstrip": 7},
            {"tile": (16, 32)},
            {"tile": (256, 256)},
            {"byteorder": ">"},
            {"bigtiff": True, "byteorder": ">"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "lzma"])
    def test_every_one_is_the_same_picture(
        self, kind: type[np.generic], options: dict[str, object], compression: str | None
    ) -> None:
        """Samples together or in planes, with differences between neighbours or without."""
        for planar, predictor in itertools.product((False, True), (False, True)):
            if predictor and not compression:
                continue
            levels = planes(halves(kind)) if planar else halves(kind)
            layout = {"planarconfig": "separate"} if planar else {}
            data = rgb(levels, compression=compression, predictor=predictor, **layout, **options)
            assert colours(data) == (list(LEFT), list(RIGHT))

    @pytest.mark.parametrize("compression", ["packbits", "webp", "jpeg"])
    def test_other_packing(self, compression: str) -> None:
        """Lossy ones are near."""
        data = rgb(halves(), compression=compression)
        np.testing.assert_allclose(colours(data), (LEFT, RIGHT), atol=2)

    @pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4", "tiff_lzw"])
    def test_line_art(self, compression: str) -> None:
        """Of scanners and fax machines."""
        art = Image.new("1", (64, 40), 1)
        art.paste(0, (32, 0, 64, 40))
        file = io.BytesIO()
        art.save(file, "TIFF", compression=compression)
        assert colours(file.getvalue()) == ([255] * 3, [0] * 3)

    def test_bits_in_reverse_order(self) -> None:
        """FillOrder 2: the lowest bit is the leftmost pixel."""
        tags = {256: 8, 257: 1, 258: 1, 266: 2, 278: 1}
        drawing = np.asarray(read_on_white(tiff(tags, b"\x07"), max_pixels=MAX_PIXELS))
        assert drawing[0, :, 0].tolist() == [255] * 3 + [0] * 5

    def test_first_of_several_pages(self) -> None:
        """Layers and thumbnails follow it."""
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            writer.write(halves(), photometric="rgb")
            writer.write(halves()[::2, ::-2], photometric="rgb")
        assert colours(file.getvalue()) == (list(LEFT), list(RIGHT))

    def test_last_strip_with_rows_past_the_end(self) -> None:
        """Some writers fill it up."""
        rows = bytes([7]) * 16 * 20
        tags = {256: 16, 257: 16, 259: 8, 278: 20}
        data = tiff(tags, zlib.compress(rows))
        assert set(read_on_white(data, max_pixels=MAX_PIXELS).tobytes()) == {7}


class TestLevels:
    @pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16])
    @pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
    def test_every_depth(self, bits: int, photometric: str) -> None:
        """The highest level is white, or black."""
        most = 2**bits - 1
        levels = np.full((40, 64), most, np.uint16 if bits > 8 else np.uint8)
        levels[:, 32:] = most // 3
        if bits == 1:
            data = written(levels.astype(bool), photometric=photometric)
        else:
            data = written(levels, photometric=photometric, bitspersample=bits)
        third = round(most // 3 / most * 255)
        expected = (255, third) if photometric == "minisblack" else (0, 255 - third)
        np.testing.assert_allclose(colours(data), [[level] * 3 for level in expected], atol=1)

    @pytest.mark.parametrize("bits", [4, 10, 12])
    def test_rgb_of_other_depths(self, bits: int) -> None:
        """Cameras and film scanners have 12."""
        levels = np.zeros((40, 64, 3), np.uint16 if bits > 8 else np.uint8)
        levels[:, :32] = (2**bits - 1, 0, 2 ** (bits - 1))
        left, _ = colours(rgb(levels, bitspersample=bits))
        np.testing.assert_allclose(left, (255, 0, 128), atol=9 if bits == 4 else 1)

    @pytest.mark.parametrize("shift", [0, 8])
    def test_palette(self, shift: int) -> None:
        """Its colours have 16 bits; old writers use the lower 8."""
        palette = np.zeros((3, 256), np.uint16)
        palette[:, 1], palette[:, 2] = LEFT, RIGHT
        levels = np.full((40, 64), 1, np.uint8)
        levels[:, 32:] = 2
        data = written(levels, photometric="palette", colormap=palette << shift)
        assert colours(data) == (list(LEFT), list(RIGHT))

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    def test_cmyk(self, kind: type[np.generic]) -> None:
        """Without a profile by multiplying, with one as the printer shows it."""
        inks = np.zeros((40, 64, 4), kind)
        inks[:, :32] = np.array([0, 255, 255, 0]) * (257 if kind == np.uint16 else 1)
        inks[:, 32:, 3] = np.iinfo(kind).max
        assert colours(written(inks, photometric="separated")) == ([255, 0, 0], [0] * 3)
        _, right = colours(written(inks, photometric="separated", iccprofile=printer_profile()))
        np.testing.assert_allclose(right, [48] * 3, atol=2)

    @pytest.mark.parametrize(
        ("kind", "profile", "expected"),
        [
            (np.uint8, ADOBE_RGB, (255, 54, 27)),
            (np.uint16, ADOBE_RGB, (255, 54, 27)),
            (np.uint16, LINEAR_RGB, (244, 130, 102)),
            (np.uint16, b"x" * 500, LEFT),
        ],
    )
    def test_profile(
        self, kind: type[np.generic], profile: bytes, expected: tuple[int, ...]
    ) -> None:
        """At 8 and 16 bits; one that is damaged is ignored."""
        left, _ = colours(rgb(halves(kind), iccprofile=profile))
        np.testing.assert_allclose(left, expected, atol=2)

    @pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
    def test_profile_of_gray(self, photometric: str) -> None:
        """It refers to levels that are 0 at black."""
        levels = np.full((40, 64), 128, np.uint8)
        left, _ = colours(written(levels, photometric=photometric, iccprofile=LINEAR_GRAY))
        np.testing.assert_allclose(left, [188] * 3, atol=1)


class TestAlpha:
    @pytest.mark.parametrize("kind", [np.uint8, np.uint16])
    @pytest.mark.parametrize("meaning", ["unassalpha", "assocalpha"])
    def test_straight_and_premultiplied(self, kind: type[np.generic], meaning: str) -> None:
        """Half transparent on white paper either way."""
        levels = halves(kind, 128)
        if meaning == "assocalpha":
            levels[..., :3] = np.round(levels[..., :3] * (128 / 255)).astype(kind)
        np.testing.assert_allclose(
            colours(rgb(levels, extrasamples=[meaning])), ((243, 156, 144), (132, 208, 157)), atol=1
        )

    def test_channel_that_is_no_alpha(self) -> None:
        """Selections and spot colours that a program saved with the picture."""
        assert colours(rgb(halves(np.uint8, 9), extrasamples=[0])) == (list(LEFT), list(RIGHT))

    @pytest.mark.parametrize("separate", [False, True])
    def test_two_further_channels(self, separate: bool) -> None:
        """Of them the one that says so is alpha."""
        levels = halves(np.uint16, 9, 128)
        layout = {"planarconfig": "separate"} if separate else {}
        data = rgb(planes(levels) if separate else levels, extrasamples=[0, "unassalpha"], **layout)
        np.testing.assert_allclose(colours(data), ((243, 156, 144), (132, 208, 157)), atol=1)

    def test_gray_with_straight_alpha(self) -> None:
        """As Photoshop and GIMP write it."""
        levels = np.full((40, 64, 2), 128, np.uint8)
        data = written(levels, photometric="minisblack", extrasamples=["unassalpha"])
        np.testing.assert_allclose(colours(data), [[191] * 3] * 2, atol=1)


class TestNamed:
    @pytest.mark.parametrize(
        ("levels", "options", "words"),
        [
            *(
                (halves(kind), {"photometric": "rgb"}, "8 or 16 bits per channel; got ")
                for kind in (np.float16, np.float32, np.float64, np.uint32, np.int16, np.int32)
            ),
            *(
                (halves(), {"photometric": name}, f"got {name.upper()}")
                for name in ("cielab", "icclab", "logluv")
            ),
            (halves()[..., 0], {"photometric": "cfa"}, "got CFA"),
            *(
                (halves(), {"photometric": "rgb", "compression": name}, f"got {name.upper()}")
                for name in ("jpegxl", "jpeg2000", "lerc", "png")
            ),
            (
                np.zeros((40, 64, 5), np.uint8),
                {"photometric": "separated", "extrasamples": ["unassalpha"]},
                "got CMYK with alpha",
            ),
            (
                np.zeros((40, 64, 2), np.uint16),
                {"photometric": "minisblack", "extrasamples": ["assocalpha"]},
                "got premultiplied alpha",
            ),
        ],
    )
    def test_variants_that_are_not_read(
        self, levels: np.ndarray, options: dict[str, object], words: str
    ) -> None:
        """With what to export instead."""
        with pytest.raises(UnsupportedImage, match=words) as refusal:
            inspect_image(written(levels, **options), max_pixels=MAX_PIXELS)
        assert "; export it " in str(refusal.value)


class TestDamage:
    @pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "webp", "jpeg"])
    @pytest.mark.parametrize("tiled", [False, True])
    def test_truncated(self, compression: str | None, tiled: bool) -> None:
        """No missing strip or tile is taken as black."""
        noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
        layout = {"tile": (32, 32)} if tiled else {"rowsperstrip": 16}
        data = rgb(noise, compression=compression, **layout)
        for lost in (20, len(data) // 10, len(data) // 2):
            with pytest.raises(UnreadableImage):
                inspect_image(data[:-lost], max_pixels=MAX_PIXELS)

    def test_missing_strip(self) -> None:
        """A place and a size of 0, as sparse files have them."""
        data = bytearray(rgb(halves(), rowsperstrip=10))
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            offsets = file.pages.first.tags[273]
        data[offsets.valueoffset : offsets.valueoffset + 4] = bytes(4)
        with pytest.raises(UnreadableImage):
            inspect_image(bytes(data), max_pixels=MAX_PIXELS)

    @pytest.mark.parametrize("tag", [256, 257, 259, 262, 277, 284])
    def test_list_in_place_of_a_number(self, tag: int) -> None:
        """No refusal repeats what is in the file at length."""
        data = bytearray(rgb(halves()))
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            place = file.pages.first.tags[tag].offset
        data[place + 2 : place + 12] = struct.pack("<HII", 3, 300, 8)
        with pytest.raises(UnreadableImage) as refusal:
            inspect_image(bytes(data), max_pixels=MAX_PIXELS)
        assert len(str(refusal.value)) < 100

    def test_metadata_does_not_decide(self) -> None:
        """XMP of megabytes, and a directory of EXIF data that is none."""
        more = [(700, 1, 3_000_000, bytes(3_000_000), True), (34_665, 4, 1, 2**31, True)]
        assert colours(rgb(halves(), extratags=more)) == (list(LEFT), list(RIGHT))
