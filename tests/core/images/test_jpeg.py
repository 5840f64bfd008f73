"""JPEG as cameras and programs write it: colour models, profiles, and files cut short."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from core.images.errors import ImageOutOfRange, UnreadableImage, UnsupportedImage
from core.images.formats import inspect_image
from testkit.images.corpus import jpeg_with_size
from testkit.images.paper import read_on_white
from testkit.images.profiles import ADOBE_RGB, LINEAR_GRAY, LINEAR_RGB, printer_profile
from testkit.jobs import drawing, encoded

MAX_PIXELS = 100_000
NOISE = Image.effect_noise((96, 64), 80).convert("RGB")
FLAT = Image.new("RGB", (32, 32), (200, 60, 40))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(read_on_white(data, max_pixels=MAX_PIXELS)).astype(int)


def jpeg(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "JPEG", quality=95, subsampling=0, **options)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """The segment right after the start of the file."""
    return data[:2] + segment(marker, content) + data[2:]


class TestColours:
    @pytest.mark.parametrize(
        ("profile", "expected"),
        [
            (ADOBE_RGB, (231, 57, 34)),
            (LINEAR_RGB, (229, 133, 110)),
            (LINEAR_GRAY, (200, 60, 40)),
            (printer_profile(), (200, 60, 40)),
            (ADOBE_RGB[:300], (200, 60, 40)),
        ],
    )
    def test_profile_of_rgb(self, profile: bytes, expected: tuple[int, ...]) -> None:
        """One for other channels, or a damaged one, is ignored."""
        np.testing.assert_allclose(pixels(jpeg(FLAT, icc_profile=profile))[9, 9], expected, atol=2)

    @pytest.mark.parametrize(("profile", "expected"), [(LINEAR_GRAY, 188), (ADOBE_RGB, 129)])
    def test_profile_of_gray(self, profile: bytes, expected: int) -> None:
        """For gray, or for RGB, in which gray is a colour as well."""
        data = jpeg(Image.new("L", (32, 32), 128), icc_profile=profile)
        np.testing.assert_allclose(pixels(data)[9, 9], [expected] * 3, atol=1)

    def test_profile_of_cmyk(self) -> None:
        """Paper is white, and the printer's black is as dark as its profile says: L 20 is 48."""
        inks = Image.new("CMYK", (32, 32), (0, 0, 0, 0))
        inks.paste((0, 0, 0, 255), (16, 0, 32, 32))
        found = pixels(jpeg(inks, icc_profile=printer_profile()))
        np.testing.assert_allclose(found[9, 4], [255] * 3, atol=1)
        np.testing.assert_allclose(found[9, 28], [48] * 3, atol=2)

    def test_cmyk_without_profile(self) -> None:
        """Inverted, as Photoshop writes it; 4 inks to RGB by multiplying."""
        inks = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
        np.testing.assert_allclose(pixels(jpeg(inks))[9, 9], [255, 0, 0], atol=2)

    def test_profile_in_several_segments(self) -> None:
        """Profiles of printers exceed the 64 kB of a segment; their order may be any."""
        first, second = ADOBE_RGB[:400], ADOBE_RGB[400:]
        plain = jpeg(FLAT)
        parts = [b"ICC_PROFILE\0\1\2" + first, b"ICC_PROFILE\0\2\2" + second]
        for one, two in (parts, parts[::-1]):
            data = with_segment(with_segment(plain, 0xE2, one), 0xE2, two)
            np.testing.assert_allclose(pixels(data)[9, 9], (231, 57, 34), atol=2)
        np.testing.assert_array_equal(pixels(with_segment(plain, 0xE2, parts[0])), pixels(plain))

    def test_rgb_without_ycbcr(self) -> None:
        """Some programs store RGB itself; component names or Adobe's segment say so."""
        np.testing.assert_allclose(pixels(jpeg(FLAT, keep_rgb=True))[9, 9], (200, 60, 40), atol=2)


class TestEnds:
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
    @pytest.mark.parametrize("lost", [1, 2])
    def test_lacks_its_end_mark(self, options: dict[str, object], lost: int) -> None:
        """Every viewer shows such a file; all pixels are there."""
        whole = jpeg(NOISE, **options)
        np.testing.assert_array_equal(pixels(whole[:-lost]), pixels(whole))

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}])
    def test_truncated(self, options: dict[str, object]) -> None:
        """However little is missing of the picture, it is refused."""
        whole = jpeg(NOISE, **options)
        for lost in (5, 8, 20, 100, len(whole) // 2):
            with pytest.raises(UnreadableImage):
                inspect_image(whole[:-lost], max_pixels=MAX_PIXELS)

    def test_lacks_its_last_scans(self) -> None:
        """Cut between two scans, a progressive picture looks whole but is coarse."""
        whole = jpeg(NOISE, progressive=True)
        scans = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
        for cut in scans[1:]:
            tables = whole.rfind(b"\xff\xc4", 0, cut)
            with pytest.raises(UnreadableImage):
                inspect_image(whole[:tables], max_pixels=MAX_PIXELS)

    def test_garbage_after_its_end(self) -> None:
        """Cameras append thumbnails, phones depth maps."""
        whole = jpeg(NOISE)
        np.testing.assert_array_equal(pixels(whole + b"\xff\xd8garbage" * 99), pixels(whole))


class TestMetadata:
    @pytest.mark.parametrize(
        ("marker", "content"),
        [
            (0xE0, b"JFXX\0\x10broken"),
            (0xE1, b"Exif\0\0no exif"),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x" * 1000),
            (0xE2, b"MPF\0broken"),
            (0xE2, b"ICC_PROFILE\0\1"),
            (0xED, b"Photoshop 3.0\0008BIM\4\4\xff\xff"),
            (0xEE, b"Ado"),
            (0xFE, b"comment" * 9000),
        ],
    )
    def test_does_not_decide_over_the_picture(self, marker: int, content: bytes) -> None:
        """Broken or large, it is not looked at."""
        plain = jpeg(NOISE)
        np.testing.assert_array_equal(pixels(with_segment(plain, marker, content)), pixels(plain))

    def test_megabytes_of_it(self) -> None:
        """Extended XMP comes in many segments."""
        data = plain = jpeg(NOISE)
        for _ in range(40):
            data = with_segment(data, 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_000))
        np.testing.assert_array_equal(pixels(data), pixels(plain))


class TestVariants:
    @pytest.mark.parametrize(
        "options", [{"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 1}]
    )
    def test_are_the_same_picture(self, options: dict[str, object]) -> None:
        """However the coefficients are stored."""
        np.testing.assert_array_equal(pixels(jpeg(NOISE, **options)), pixels(jpeg(NOISE)))

    def test_several_pictures(self) -> None:
        """Of a multi-picture file the first."""
        data = encoded(NOISE, "MPO", save_all=True, append_images=[drawing(96, 64)], quality=95)
        alone = np.asarray(Image.open(io.BytesIO(encoded(NOISE, "JPEG", quality=95))))
        np.testing.assert_array_equal(pixels(data), alone)

    def test_12_bits_are_named(self) -> None:
        """Medical and film scanners write them."""
        levels = np.full((16, 16), 2000, np.uint16)
        data = imagecodecs.jpeg8_encode(levels, bitspersample=12)
        with pytest.raises(UnsupportedImage, match="8 bits per channel as a JPEG; got 12; export"):
            inspect_image(data, max_pixels=MAX_PIXELS)

    def test_lossless_is_named(self) -> None:
        """Raw converters write it."""
        data = imagecodecs.jpeg8_encode(np.zeros((16, 16), np.uint8), lossless=True)
        with pytest.raises(UnsupportedImage, match="lossless or hierarchical"):
            inspect_image(data, max_pixels=MAX_PIXELS)

    def test_size_is_compared_before_decoding(self) -> None:
        """The header claims more pixels than may be."""
        with pytest.raises(ImageOutOfRange, match="at most"):
            inspect_image(jpeg_with_size(5000, 5000), max_pixels=MAX_PIXELS)
