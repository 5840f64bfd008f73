"""PNG as tools write it: chunks that say what colours mean, depths, and damage beside the picture.

Expected colours are what Chromium shows.
"""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from core.images.errors import UnreadableImage, UnsupportedImage
from core.images.formats import inspect_image
from testkit.images.corpus import PNG_SIGNATURE, chunk, exif_of, png_of
from testkit.images.paper import read_on_white
from testkit.jobs import drawing, encoded

MAX_PIXELS = 100_000
COLOUR = (100, 155, 50)
ADOBE = imagecodecs.cms_profile("adobergb")
SRGB = imagecodecs.cms_profile("srgb")
GRAY_LINEAR = imagecodecs.cms_profile("gray", whitepoint=[0.3127, 0.329, 1.0], gamma=1.0)
SRGB_POINTS = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3_POINTS = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def points(values: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


def icc(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(profile)


def cicp(primaries: int, curve: int, full_range: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, curve, 0, full_range])


def shown(data: bytes) -> list[int]:
    """The colour of the pixel at the top left."""
    return np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))[0, 0].tolist()


def flat(*chunks: tuple[bytes, bytes], colour: tuple[int, ...] = COLOUR, colours: int = 2) -> bytes:
    return png_of(chunks, colours=colours, pixels=(b"\0" + bytes(colour) * 24) * 16)


class TestColours:
    @pytest.mark.parametrize(
        ("chunks", "expected"),
        [
            ([], COLOUR),
            ([gamma(0.45455)], COLOUR),
            ([gamma(0.44)], COLOUR),
            ([gamma(0.45455), points(SRGB_POINTS)], (100, 156, 46)),
            ([points(P3_POINTS)], COLOUR),
            ([gamma(1)], (168, 205, 122)),
            ([gamma(0.55)], (118, 170, 64)),
            ([gamma(0.4)], (87, 146, 35)),
            ([gamma(0.45455), points(P3_POINTS)], (80, 158, 6)),
            ([gamma(1), points(P3_POINTS)], (158, 206, 111)),
            ([gamma(0)], COLOUR),
            ([gamma(1), points((0.1,) * 8)], COLOUR),
            ([(b"sRGB", b"\0"), gamma(1)], COLOUR),
            ([icc(ADOBE)], (60, 156, 32)),
            ([icc(ADOBE), (b"sRGB", b"\0")], (60, 156, 32)),
            ([icc(ADOBE), gamma(1)], (60, 156, 32)),
            ([icc(SRGB)], COLOUR),
            ([icc(GRAY_LINEAR)], COLOUR),
            ([icc(b"xxxx" * 100), gamma(1)], (168, 205, 122)),
            ([icc(ADOBE[:300])], COLOUR),
            ([(b"iCCP", b"name\0\0no zlib")], COLOUR),
            ([cicp(12, 13)], (81, 157, 20)),
            ([cicp(1, 1)], (91, 150, 39)),
            ([cicp(9, 14)], (0, 155, 0)),
            ([cicp(1, 8)], (168, 205, 122)),
            ([cicp(1, 13), icc(ADOBE)], COLOUR),
            ([cicp(12, 13, full_range=0)], COLOUR),
            ([cicp(99, 13)], COLOUR),
        ],
    )
    def test_mean_what_the_chunks_say(
        self, chunks: list[tuple[bytes, bytes]], expected: tuple[int, ...]
    ) -> None:
        """In the order of precedence of the standard; what cannot be used is ignored."""
        np.testing.assert_allclose(shown(flat(*chunks)), expected, atol=1)

    @pytest.mark.parametrize(
        ("found", "expected"), [(gamma(1), 188), (icc(ADOBE), 129), (icc(GRAY_LINEAR), 188)]
    )
    def test_of_gray(self, found: tuple[bytes, bytes], expected: int) -> None:
        """A profile for gray or for RGB."""
        np.testing.assert_allclose(
            shown(flat(found, colour=(128,), colours=0)), [expected] * 3, atol=1
        )

    def test_dark_gray_has_no_steps_of_the_profile(self) -> None:
        """Level 1 of 255 with a linear curve is 13 in sRGB."""
        assert shown(flat(icc(GRAY_LINEAR), colour=(1,), colours=0)) == [13] * 3

    @pytest.mark.parametrize("curve", [16, 18])
    def test_hdr_is_named(self, curve: int) -> None:
        """No white of a drawing corresponds to its levels."""
        with pytest.raises(UnsupportedImage, match=r"got HDR \(.*\); export it as sRGB"):
            inspect_image(flat(cicp(9, curve)), max_pixels=MAX_PIXELS)

    def test_srgb_profile_changes_no_pixel(self) -> None:
        """Most programs embed one."""
        every = Image.effect_noise((100, 100), 100).convert("RGB")
        plain, tagged = (encoded(every, icc_profile=profile) for profile in (None, SRGB))
        assert read_on_white(plain, max_pixels=MAX_PIXELS) == read_on_white(
            tagged, max_pixels=MAX_PIXELS
        )

    def test_16_bits_keep_their_precision_through_a_profile(self) -> None:
        """A linear ramp has 13 levels of sRGB below the first of 255 8-bit ones."""
        linear = imagecodecs.cms_profile(
            "rgb",
            whitepoint=[0.3127, 0.329, 1.0],
            primaries=[0.64, 0.33, 1, 0.3, 0.6, 1, 0.15, 0.06, 1],
            gamma=1.0,
        )
        levels = np.repeat(np.arange(24, dtype=">u2") * 11, 3)
        pixels = (b"\0" + levels.tobytes()) * 16
        data = png_of([icc(linear)], bits=16, pixels=pixels)
        row = np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))[0, :, 1]
        assert len(set(row.tolist())) > 10


class TestTransparency:
    @pytest.mark.parametrize(
        ("bits", "colours", "transparent", "row", "expected"),
        [
            (1, 0, b"\0\0", b"\x40", [255, 255, 255]),
            (1, 0, b"\0\1", b"\x40", [0, 255, 0]),
            (2, 0, b"\0\1", b"\x1b", [0, 255, 170]),
            (4, 0, b"\0\5", b"\x05\x60", [0, 255, 102]),
            (8, 0, b"\0\5", b"\x05\x06\x07", [255, 6, 7]),
            (16, 0, b"\1\5", b"\1\5\1\6\2\5", [255, 1, 2]),
            (16, 2, b"\0\1" * 3, b"\0\1" * 3 + b"\0\2" * 3 + b"\1\1" * 3, [255, 0, 1]),
        ],
    )
    def test_value_is_compared_at_native_depth(
        self, bits: int, colours: int, transparent: bytes, row: bytes, expected: list[int]
    ) -> None:
        """Levels that only become equal when they are scaled stay opaque."""
        data = png_of(
            [(b"tRNS", transparent)],
            size=(3, 1),
            bits=bits,
            colours=colours,
            pixels=b"\0" + row,
        )
        pixels = np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))
        assert pixels[0, :, 0].tolist() == expected

    def test_palette_of_less_than_a_byte(self) -> None:
        """Two colours, one half transparent."""
        palette = [(b"PLTE", bytes([200, 0, 0, 0, 0, 200])), (b"tRNS", b"\x80")]
        data = png_of(palette, size=(2, 1), bits=1, colours=3, pixels=b"\0\x40")
        pixels = np.asarray(read_on_white(data, max_pixels=MAX_PIXELS))
        assert pixels[0].tolist() == [[227, 127, 127], [0, 0, 200]]

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_16_bit_alpha(self, mode: str) -> None:
        """Colour and alpha are rounded, not cut."""
        channels = len(mode)
        pixel = struct.pack(f">{channels}H", *[0x00FF] * (channels - 1), 0x80FF)
        colours = 6 if mode == "RGBA" else 4
        data = png_of(size=(1, 1), bits=16, colours=colours, pixels=b"\0" + pixel)
        np.testing.assert_allclose(shown(data), [127] * 3, atol=1)


class TestOddFiles:
    def test_interlaced(self) -> None:
        """Seven passes of one 8x8 picture, each row with its filter byte."""
        passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
        pixels = b"".join((b"\0" + b"\x50" * width) * height for width, height in passes)
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
        data = PNG_SIGNATURE + head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
        assert set(read_on_white(data, max_pixels=MAX_PIXELS).tobytes()) == {0x50}

    @pytest.mark.parametrize(
        "kind", [b"pHYs", b"tEXt", b"iCCP", b"gAMA", b"cHRM", b"eXIf", b"bKGD", b"tIME", b"prVt"]
    )
    def test_wrong_checksum_beside_the_picture(self, kind: bytes) -> None:
        """The chunk is skipped, and says nothing about the colours."""
        data = bytearray(flat((kind, b"\0\0\0\1")))
        data[data.index(kind) + 8] ^= 1
        assert shown(bytes(data)) == list(COLOUR)

    @pytest.mark.parametrize("kind", [b"IDAT", b"IHDR"])
    def test_wrong_checksum_of_the_picture(self, kind: bytes) -> None:
        """Its bytes have changed on the way."""
        data = bytearray(flat())
        data[data.index(kind) + 6] ^= 1
        with pytest.raises(UnreadableImage):
            inspect_image(bytes(data), max_pixels=MAX_PIXELS)

    @pytest.mark.parametrize("kind", [b"iTXt", b"zTXt", b"tEXt", b"eXIf", b"iCCP"])
    def test_metadata_of_megabytes(self, kind: bytes) -> None:
        """Neither unpacked nor a reason to refuse the picture."""
        packed = zlib.compress(bytes(20 * 2**20))
        content = {
            b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + packed,
            b"zTXt": b"Raw profile type exif\0\0" + packed,
            b"iCCP": b"name\0\0" + packed,
        }.get(kind, bytes(3 * 2**20))
        assert shown(flat((kind, content))) == list(COLOUR)

    def test_without_its_end_mark(self) -> None:
        """All pixels are there."""
        assert shown(flat()[:-12]) == list(COLOUR)

    def test_orientation(self) -> None:
        """A camera turned by 90 degrees, as `eXIf` says after the pixels too."""
        exif = exif_of([(0x0112, 3, 1, 6 << 16)])
        for data in (flat((b"eXIf", exif)), flat()[:-12] + chunk(b"eXIf", exif)):
            facts = inspect_image(data, max_pixels=MAX_PIXELS)
            assert (facts.width, facts.height) == (16, 24)

    def test_variant_of_apple(self) -> None:
        """Xcode writes it; no other reader takes it."""
        plain = flat()
        data = plain[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + plain[8:]
        with pytest.raises(UnsupportedImage, match="CgBI"):
            inspect_image(data, max_pixels=MAX_PIXELS)

    def test_animation_shows_its_default_picture(self) -> None:
        """As a viewer that knows no animation."""
        data = encoded(drawing(color="red"), save_all=True, append_images=[drawing(color="blue")])
        assert read_on_white(data, max_pixels=MAX_PIXELS) == drawing(color="red")
