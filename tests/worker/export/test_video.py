"""MP4, WebM and ProRes, decoded by the `ffmpeg` program."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from testkit.worker.films import decode, drawn, needs_ffmpeg, probe
from worker.export.film import Export, Film, over
from worker.export.mp4 import export_mp4
from worker.export.prores import export_prores
from worker.export.webm import export_webm

FORMATS = pytest.mark.parametrize("export", [export_mp4, export_webm, export_prores])
EXPOSURES = [2, 1, 3, 12]  # the last drawing is held
BACKGROUND = (250, 240, 210)

Exporter = Callable[..., Export]


def film(height: int = 90, width: int = 160, rate: Fraction = Fraction(24)) -> Film:
    return Film(drawn(4, height, width), EXPOSURES, rate, BACKGROUND)


def decoder(export: Exporter) -> str:
    return "libvpx-vp9" if export is export_webm else ""  # FFmpeg's own decoder drops alpha


@needs_ffmpeg
@FORMATS
class TestTime:
    @pytest.mark.parametrize("rate", ["8", "24000/1001", "60000/1001"])
    def test_rate_is_exact(self, export: Exporter, rate: str, tmp_path: Path) -> None:
        """Editors compare the rate, and a thousandth more shifts the sound."""
        stream, _ = probe(export(film(46, 78, Fraction(rate))).content, tmp_path)
        assert stream["avg_frame_rate"] == stream["r_frame_rate"]
        # WebM stores a frame's length in nanoseconds, of which FFmpeg guesses a fraction
        error = abs(Fraction(stream["avg_frame_rate"]) / Fraction(rate) - 1)
        assert error <= (Fraction(1, 10**7) if export is export_webm else 0)

    @pytest.mark.parametrize("rate", [Fraction(8), Fraction(24000, 1001)])
    def test_every_film_frame_is_shown(
        self, export: Exporter, rate: Fraction, tmp_path: Path
    ) -> None:
        """The last drawing's hold too: the file lasts as long as the film, to a millisecond."""
        exported = export(film(46, 78, rate))
        stream, seconds = probe(exported.content, tmp_path)
        assert int(stream["nb_read_frames"]) == exported.frames == sum(EXPOSURES)
        assert abs(seconds - sum(EXPOSURES) / rate) < Fraction(1, 1000)

    def test_one_drawing_is_a_film(self, export: Exporter, tmp_path: Path) -> None:
        still = Film(drawn(1, 46, 78), [6], Fraction(24))
        stream, seconds = probe(export(still).content, tmp_path)
        assert (stream["nb_read_frames"], seconds) == ("6", Fraction(1, 4))

    def test_drawings_come_in_order(self, export: Exporter, tmp_path: Path) -> None:
        source = film()
        frames = decode(export(source).content, tmp_path, (160, 90), 4, decoder(export))
        opaque = np.stack(list(source.opaque())).astype(int)
        seen = [over(frame, BACKGROUND) if frame[..., 3].min() < 9 else frame for frame in frames]
        order = [np.abs(opaque - frame[..., :3]).mean((1, 2, 3)).argmin() for frame in seen]
        assert order == [0] * 2 + [1] + [2] * 3 + [3] * 12


@needs_ffmpeg
@FORMATS
class TestPicture:
    def test_is_tagged_bt709(self, export: Exporter, tmp_path: Path) -> None:
        """Else players guess the matrix by the picture's size."""
        stream, _ = probe(export(film()).content, tmp_path)
        tags = [stream[f"color_{name}"] for name in ("space", "transfer", "primaries", "range")]
        assert tags == ["bt709", "bt709", "bt709", "tv"]

    @pytest.mark.parametrize("size", [(77, 45), (78, 45), (77, 46), (1, 1)])
    def test_odd_sizes(self, export: Exporter, size: tuple[int, int], tmp_path: Path) -> None:
        """MP4 repeats its last row and column; the others keep the size."""
        width, height = size
        exported = export(film(height, width))
        stream, _ = probe(exported.content, tmp_path)
        even = (width + width % 2, height + height % 2)
        wanted = even if export is export_mp4 else size
        assert (exported.width, exported.height) == wanted
        assert (stream["width"], stream["height"]) == wanted

    def test_flat_colours(self, export: Exporter, tmp_path: Path) -> None:
        """Within 2 levels in the middle of an area; ProRes is exact. A wrong matrix is 20 off."""
        colours = np.array(list(product([0, 60, 128, 200, 255], repeat=3)), np.uint8)
        chart = colours.reshape(5, 25, 3).repeat(16, 0).repeat(16, 1)
        exported = export(Film(chart[None], [2], Fraction(8)))
        frames = decode(exported.content, tmp_path, (400, 80), codec=decoder(export))
        error = np.abs(frames[:, 8::16, 8::16].astype(int) - chart[8::16, 8::16])
        assert error.max() <= (0 if export is export_prores else 2)

    def test_same_film_same_file(self, export: Exporter) -> None:
        assert export(film()).content == export(film()).content

    def test_cancel_stops_between_frames(self, export: Exporter) -> None:
        calls = []

        def check() -> None:
            calls.append(1)
            if len(calls) == 5:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            export(film(46, 78), check=check)
        assert len(calls) == 5


@needs_ffmpeg
@pytest.mark.parametrize(
    ("export", "mean", "edge"), [(export_webm, 0.1, 6), (export_prores, 0.01, 0.5)]
)
class TestAlpha:
    def test_matte_and_colour_at_its_edge(
        self, export: Exporter, mean: float, edge: float, tmp_path: Path
    ) -> None:
        """No halo: half-transparent pixels keep the line's colour, not that of the ground."""
        source = film(180, 320)
        exported = export(source)
        frames = decode(exported.content, tmp_path, (320, 180), 4, decoder(export))
        shown = source.drawings.repeat(EXPOSURES, 0).astype(int)
        error = np.abs(frames - shown)
        soft = (shown[..., 3] > 64) & (shown[..., 3] < 255)
        assert error[..., 3].mean() < mean
        assert error[..., :3][soft].mean() < edge

    def test_opaque_drawings_stay_opaque(
        self, export: Exporter, mean: float, edge: float, tmp_path: Path
    ) -> None:
        opaque = Film(np.stack(list(film().opaque())), EXPOSURES, Fraction(24))
        frames = decode(export(opaque).content, tmp_path, (160, 90), 4, decoder(export))
        assert (frames[..., 3] == 255).all()


def test_index_of_mp4_is_in_front() -> None:
    """A browser plays while it loads."""
    content = export_mp4(film(46, 78)).content
    assert content.index(b"moov") < content.index(b"mdat")
