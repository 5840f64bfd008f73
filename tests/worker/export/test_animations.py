"""GIF, APNG and WebP, decoded by Pillow, and by the `ffmpeg` program where it can."""

from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from testkit.suite.examples import examples
from testkit.worker.films import decode, drawn, needs_ffmpeg
from worker.export.apng import export_apng
from worker.export.film import Export, Film
from worker.export.gif import LONGEST, export_gif, schedule
from worker.export.webp import export_webp

Exporter = Callable[..., Export]
FORMATS = pytest.mark.parametrize("export", [export_gif, export_apng, export_webp])
LOSSLESS = pytest.mark.parametrize("export", [export_apng, export_webp])
RATES = st.sampled_from(
    [Fraction(n) for n in range(1, 121)] + [Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)]
)


def film(drawings: NDArray[np.uint8], exposures: list[int], rate: Fraction) -> Film:
    return Film(drawings, exposures, rate, (250, 240, 210))


def read(content: bytes) -> tuple[NDArray[np.uint8], list[float]]:
    """All pictures as RGBA, and their delays in milliseconds."""
    pictures, delays = [], []
    with Image.open(BytesIO(content)) as image:
        for picture in ImageSequence.Iterator(image):
            pictures.append(np.array(picture.convert("RGBA")))
            delays.append(picture.info["duration"])
    return np.stack(pictures), delays


def rgba(drawings: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if drawings.shape[-1] == 4:
        return drawings
    return np.pad(drawings, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=255)


@FORMATS
class TestAnimation:
    @pytest.mark.parametrize("size", [(160, 90), (77, 45), (1, 1)])
    @pytest.mark.parametrize("alpha", [True, False])
    def test_count_size_and_length(
        self, export: Exporter, size: tuple[int, int], alpha: bool
    ) -> None:
        """Each drawing once, whatever its exposure."""
        drawings = drawn(4, size[1], size[0])
        source = film(
            drawings if alpha else drawings[..., :3], [2, 1, 3, 12], Fraction(24000, 1001)
        )
        exported = export(source)
        pictures, delays = read(exported.content)
        assert pictures.shape == (4, size[1], size[0], 4)
        assert (exported.frames, exported.width, exported.height) == (4, *size)
        assert abs(sum(delays) - 18 / source.rate * 1000) < 5
        assert sum(delays[:-1]) == pytest.approx(6 / source.rate * 1000, abs=5)

    def test_a_held_drawing_keeps_its_place(self, export: Exporter) -> None:
        """Two equal neighbours stay two pictures."""
        (first, last) = drawn(2, 45, 77)
        pictures, _ = read(
            export(film(np.stack([first, first, last]), [1] * 3, Fraction(8))).content
        )
        assert len(pictures) == 3
        assert (pictures[0] == pictures[1]).all()

    def test_same_film_same_file(self, export: Exporter) -> None:
        source = film(drawn(3, 45, 77), [1, 2, 1], Fraction(12))
        assert export(source).content == export(source).content

    def test_repeats_for_ever(self, export: Exporter) -> None:
        with Image.open(
            BytesIO(export(film(drawn(3, 9, 9), [1] * 3, Fraction(8))).content)
        ) as image:
            assert image.info["loop"] == 0

    def test_cancel_stops_between_drawings(self, export: Exporter) -> None:
        calls = []

        def check() -> None:
            calls.append(1)
            if len(calls) == 2:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            export(film(drawn(4, 9, 9), [1] * 4, Fraction(8)), check=check)
        assert len(calls) == 2


class TestLossless:
    @LOSSLESS
    @pytest.mark.parametrize("alpha", [True, False])
    def test_every_pixel_is_kept(self, export: Exporter, alpha: bool) -> None:
        """Those of patches, which only replace what has changed, as well."""
        drawings = drawn(4, 91, 157)
        drawings = (
            drawings if alpha else np.stack(list(film(drawings, [1] * 4, Fraction(8)).opaque()))
        )
        pictures, _ = read(export(film(drawings, [1] * 4, Fraction(8))).content)
        assert (pictures == rgba(drawings)).all()

    @needs_ffmpeg
    def test_another_decoder_reads_the_same_apng(self, tmp_path: Path) -> None:
        drawings = drawn(4, 91, 157)
        content = export_apng(film(drawings, [1, 2, 1, 5], Fraction(8))).content
        assert (decode(content, tmp_path, (157, 91), 4) == drawings).all()

    @settings(deadline=None)
    @given(RATES, st.integers(1, 1000))
    def test_delays_of_apng_are_exact_below_a_minute(self, rate: Fraction, exposure: int) -> None:
        content = export_apng(Film(np.zeros((1, 1, 1, 3), np.uint8), [exposure], rate)).content
        at = content.index(b"fcTL") + 4 + 20
        delay = Fraction(*(int.from_bytes(content[i : i + 2], "big") for i in (at, at + 2)))
        assert abs(delay - exposure / rate) < Fraction(1, 1000)
        if exposure / rate < 40 and rate.numerator < 65536 and exposure < 60:
            assert delay == exposure / rate


class TestGif:
    @settings(deadline=None)
    @given(RATES, st.lists(st.integers(1, 40), min_size=1, max_size=70))
    def test_length_and_every_start_are_right(self, rate: Fraction, exposures: list[int]) -> None:
        """The total errs by less than a hundredth of a second, and browsers shorten no delay."""
        source = Film(np.zeros((len(exposures), 1, 1, 3), np.uint8), exposures, rate)
        shown = schedule(source)
        if source.film_frames / rate >= Fraction(2, 100):
            assert abs(sum(s.delay for s in shown) - 100 * source.film_frames / rate) < 1
        assert all(2 <= s.delay <= LONGEST for s in shown)
        assert [s.drawing for s in shown] == sorted({s.drawing for s in shown})
        if rate <= 50:
            assert [s.drawing for s in shown] == list(range(len(exposures)))
            clock = 0
            for picture, start in zip(shown, source.starts, strict=False):
                assert abs(clock - 100 * start / rate) <= 2
                clock += picture.delay

    def test_a_delay_beyond_the_longest_repeats_its_drawing(self) -> None:
        """A drawing held 1,000 frames at one frame per second."""
        source = Film(drawn(2, 9, 9), [1000, 1], Fraction(1))
        shown = schedule(source)
        assert [s.drawing for s in shown] == [0, 0, 1]
        assert sum(s.delay for s in shown) == 100_100
        pictures, delays = read(export_gif(source).content)
        assert sum(delays) == 1_001_000
        assert export_gif(source).frames == len(pictures)

    def test_transparency(self) -> None:
        """Pixels are there or not, and those that are keep their own colour."""
        drawings = drawn(4, 90, 160)
        pictures, _ = read(export_gif(film(drawings, [1] * 4, Fraction(8))).content)
        visible = drawings[..., 3] >= 128
        assert ((pictures[..., 3] == 255) == visible).all()
        error = np.abs(pictures[..., :3].astype(int) - drawings[..., :3])[visible]
        assert error.mean() < 3
        assert np.percentile(error, 99) <= 16

    @needs_ffmpeg
    def test_another_decoder_sees_the_same(self, tmp_path: Path) -> None:
        """Patches without and pictures with transparency."""
        drawings = drawn(4, 45, 77)
        for source in (drawings, np.ascontiguousarray(drawings[..., :3])):
            content = export_gif(film(source, [1] * 4, Fraction(8))).content
            pictures, _ = read(content)
            decoded = decode(content, tmp_path, (77, 45), 4)
            visible = pictures[..., 3] == 255
            assert ((decoded[..., 3] == 255) == visible).all()
            assert (decoded[visible] == pictures[visible]).all()

    @settings(max_examples=examples(10), deadline=None)
    @given(st.integers(1, 255))
    def test_few_colours_are_kept(self, count: int) -> None:
        """A film of flat colours has room for all of them, within the octree's steps."""
        colours = np.random.default_rng(count).integers(0, 256, (count, 3), dtype=np.uint8)
        drawing = colours[np.arange(64 * 64) % count].reshape(1, 64, 64, 3)
        pictures, _ = read(export_gif(film(drawing, [1], Fraction(8))).content)
        assert np.abs(pictures[..., :3].astype(int) - drawing).mean() < 10
