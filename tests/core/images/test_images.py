"""Keyframes as artists send them, and what else arrives."""

import zlib

import numpy as np
import pytest
from PIL import Image

from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage, UnsupportedImage
from core.images.formats import inspect_image
from core.images.picture import MAX_ASPECT, MAX_SIDE
from testkit.images.paper import read_on_white
from testkit.jobs import drawing, encoded, png

MAX_PIXELS = 1_000_000


def rgb(data: bytes) -> np.ndarray:
    return np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))


class TestFormats:
    @pytest.mark.parametrize(
        ("file_format", "options", "content_type"),
        [
            ("PNG", {}, "image/png"),
            ("WEBP", {"lossless": True}, "image/webp"),
            ("TIFF", {}, "image/tiff"),
            ("TIFF", {"compression": "tiff_lzw"}, "image/tiff"),
        ],
    )
    def test_lossless_formats_keep_every_pixel(
        self, file_format: str, options: dict, content_type: str
    ) -> None:
        """The array is the drawing, whatever it came in."""
        data = encoded(drawing(), file_format, **options)
        facts = inspect_image(data, max_pixels=MAX_PIXELS)
        assert (facts.content_type, facts.width, facts.height) == (content_type, 64, 40)
        np.testing.assert_array_equal(rgb(data), np.asarray(drawing()))

    @pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
    def test_jpeg_in_every_colour_model(self, mode: str) -> None:
        """CMYK comes from print work; its white stays white and its gray gray."""
        data = encoded(
            Image.new("RGB", (32, 32), (200, 200, 200)).convert(mode), "JPEG", quality=95
        )
        assert inspect_image(data, max_pixels=MAX_PIXELS).content_type == "image/jpeg"
        np.testing.assert_allclose(rgb(data).astype(int), 200, atol=3)

    def test_jpeg_of_a_phone_is_a_jpeg(self) -> None:
        """Phones append further pictures (a depth or gain map) to the first, the multi-picture
        format.
        """
        data = encoded(drawing(), "MPO", save_all=True, append_images=[drawing(32, 20)])
        assert inspect_image(data, max_pixels=MAX_PIXELS).content_type == "image/jpeg"
        assert rgb(data).shape == (40, 64, 3)

    def test_palette_and_bilevel(self) -> None:
        """Scanned line art is often one of them."""
        np.testing.assert_array_equal(rgb(encoded(drawing().quantize(4))), np.asarray(drawing()))
        line_art = Image.new("1", (8, 8), 1)
        np.testing.assert_array_equal(rgb(encoded(line_art)), 255)

    def test_first_picture_of_an_animation(self) -> None:
        """A still is wanted; what follows is left out."""
        data = encoded(
            drawing(color="red"), "PNG", save_all=True, append_images=[drawing(color="blue")]
        )
        np.testing.assert_array_equal(rgb(data), np.asarray(drawing(color="red")))


class TestLevels:
    @pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
    def test_16_bit_gray_is_scaled_not_clipped(self, file_format: str) -> None:
        """Half of the range is mid-gray; a clipping conversion would call it white."""
        levels = np.array([[0, 257 * 64, 32768, 65535]], dtype=np.uint16)
        data = encoded(Image.fromarray(levels), file_format)
        np.testing.assert_array_equal(rgb(data)[0, :, 0], [0, 64, 128, 255])

    def test_transparency_shows_white_paper(self) -> None:
        """Fully, half and not at all; what colour hides below full transparency does not matter."""
        pixels = np.array([[[255, 0, 0, 0], [0, 0, 0, 128], [0, 0, 255, 255]]], dtype=np.uint8)
        np.testing.assert_allclose(
            rgb(encoded(Image.fromarray(pixels))).astype(int),
            [[[255] * 3, [127] * 3, [0, 0, 255]]],
            atol=1,
        )

    def test_transparent_palette_and_gray(self) -> None:
        """Both say in different ways which colour is none."""
        palette = drawing(color="red").quantize(4)
        ground = palette.getpixel((63, 0))
        np.testing.assert_array_equal(
            rgb(encoded(palette, transparency=ground))[0, 63], [255, 255, 255]
        )
        gray_alpha = Image.new("LA", (4, 4), (0, 0))
        np.testing.assert_array_equal(rgb(encoded(gray_alpha)), 255)


class TestOrientation:
    UPRIGHT = drawing()
    # how a camera stores the upright picture for each EXIF orientation: the inverse of what a
    # viewer has to do
    STORED = {  # noqa: RUF012  # a constant table
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }

    @pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "JPEG"])
    @pytest.mark.parametrize("orientation", STORED)
    def test_read_as_seen(self, orientation: int, file_format: str) -> None:
        """Size and pixels are those that a viewer shows."""
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = self.UPRIGHT.transpose(self.STORED[orientation])
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(
            file_format, {}
        )
        data = encoded(stored, file_format, exif=exif, **options)
        facts = inspect_image(data, max_pixels=MAX_PIXELS)
        assert (facts.width, facts.height) == self.UPRIGHT.size
        np.testing.assert_allclose(
            rgb(data).astype(int), np.asarray(self.UPRIGHT).astype(int), atol=8
        )


class TestRefused:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"GIF89a",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"%PDF-1.7",
            b"keyframe",
            encoded(drawing(), "GIF"),
        ],
    )
    def test_other_formats(self, data: bytes) -> None:
        """They are named as what they are not; no decoder beyond the four is ever tried."""
        with pytest.raises(ImageRefused, match="must be a PNG, JPEG, WebP or TIFF image"):
            inspect_image(data, max_pixels=MAX_PIXELS)

    @pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
    def test_truncated(self, file_format: str) -> None:
        """An upload that broke off is found now and not on the GPU, however late it broke off."""
        data = encoded(drawing(200, 150), file_format)
        for kept in (len(data) // 2, len(data) * 9 // 10):
            with pytest.raises(UnreadableImage, match=r"broken or truncated|is truncated"):
                inspect_image(data[:kept], max_pixels=MAX_PIXELS)

    def test_50000_pixels_wide(self) -> None:
        """The sides have their own limit: a strip of one pixel's height has few pixels."""
        with pytest.raises(
            ImageOutOfRange, match=f"at most {MAX_SIDE} pixels wide and high; got 50000x1"
        ):
            inspect_image(png(50_000, 1), max_pixels=MAX_PIXELS)

    @pytest.mark.parametrize("size", [(513, 64), (64, 513)])
    def test_strip_is_refused(self, size: tuple[int, int]) -> None:
        """Its short side would be scaled to the canvas, and its long side to gigabytes."""
        with pytest.raises(
            ImageOutOfRange, match=f"an aspect ratio of at most {MAX_ASPECT}:1; got 8.0156:1"
        ):
            inspect_image(png(*size), max_pixels=MAX_PIXELS)

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_32_bits_per_channel_are_refused(self, dtype: type[np.generic]) -> None:
        """Float pictures do not say which value is white."""
        picture = Image.fromarray(np.full((32, 32), 1, dtype))
        with pytest.raises(UnsupportedImage, match="8 or 16 bits per channel; got 32"):
            inspect_image(encoded(picture, "TIFF"), max_pixels=MAX_PIXELS)

    def test_too_many_pixels_are_refused_before_they_are_decoded(self) -> None:
        """The header alone is enough: of a bomb that claims 16000x16000 there is not even a
        pixel.
        """
        whole = png(8, 8)
        size = (16_000).to_bytes(4, "big") * 2
        header = whole[:16] + size + whole[24:29]
        header += zlib.crc32(header[12:29]).to_bytes(4, "big")
        with pytest.raises(ImageOutOfRange, match="at most 1000000 pixels; got 256000000"):
            inspect_image(header + whole[33:], max_pixels=MAX_PIXELS)
