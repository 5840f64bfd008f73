"""The file that callers get, read again by another decoder."""

import io
import json
import zipfile
from fractions import Fraction
from typing import ClassVar, get_args

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from core.records.request import FileFormat, OutputFormat, SequenceFormat
from worker.export.film import Film
from worker.export.formats import export_all

COLOURS = [(200, 30, 30), (30, 160, 60), (40, 60, 200), (240, 200, 170), (128, 128, 128)]


def encode_mp4(frames: NDArray[np.uint8], fps: Fraction | int) -> bytes:
    film = Film(frames, exposures=[1] * len(frames), rate=Fraction(fps))
    (file,) = export_all([OutputFormat()], [film])
    return file.export.content


class TestFiles:
    """Of a request with every format."""

    OUTPUTS: ClassVar = [
        OutputFormat(format=name) for name in get_args(FileFormat) if name != "png"
    ] + [SequenceFormat(shot="sc042", layer="B", start=7, bits=16)]

    def test_every_format_that_a_request_may_name_has_an_exporter(self) -> None:
        """Else a job would be accepted that no worker can finish."""
        film = Film(flat_frames(3, 64, 64), exposures=[1, 1, 1], rate=Fraction(8))
        files = list(export_all(self.OUTPUTS, [film]))
        assert {file.format for file in files} == set(get_args(FileFormat))
        assert {file.variant for file in files} == {1}
        assert sorted(file.export.name for file in files) == [
            "animation.gif",
            "animation.png",
            "animation.webp",
            "contact_sheet.png",
            "frames.zip",
            "timing.xdts",
            "video.mov",
            "video.mp4",
            "video.webm",
        ]

    def test_variants_have_names_of_their_own_and_folders_in_one_zip(self) -> None:
        """Both have one timing, so there is one sheet."""
        film = Film(flat_frames(3, 64, 64), exposures=[1, 1, 1], rate=Fraction(8))
        outputs = [one for one in self.OUTPUTS if one.format in ("mp4", "png", "xdts")]
        files = list(export_all(outputs, [film, film]))
        assert [(file.export.name, file.variant, file.export.frames) for file in files] == [
            ("video.mp4", 1, 3),
            ("video-v2.mp4", 2, 3),
            ("timing.xdts", 1, 3),
            ("frames.zip", 1, 6),
        ]
        with zipfile.ZipFile(io.BytesIO(files[-1].export.content)) as archive:
            assert archive.namelist()[2:4] == ["v1/sc042_B.0009.png", "v2/sc042_B.0007.png"]

    def test_timing_sheet_has_the_numbers_of_the_sequence(self) -> None:
        film = Film(flat_frames(3, 64, 64), exposures=[2, 1, 4], rate=Fraction(24))
        outputs = [one for one in self.OUTPUTS if one.format in ("png", "xdts")]
        sheet = next(file for file in export_all(outputs, [film]) if file.format == "xdts")
        table = json.loads(sheet.export.content.split(b"\n")[1])["timeTables"][0]
        assert (table["duration"], table["timeTableHeaders"][0]["names"]) == (7, ["B"])
        cells = table["fields"][0]["tracks"][0]["frames"]
        assert [(cell["frame"], cell["data"][0]["values"]) for cell in cells] == [
            (0, ["7"]),
            (2, ["8"]),
            (3, ["9"]),
        ]


def flat_frames(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Stripes of flat colour, as in a cartoon, with a line that moves."""
    stripes = np.repeat(np.array(COLOURS, dtype=np.uint8), -(-width // len(COLOURS)), axis=0)[
        :width
    ]
    frames = np.broadcast_to(stripes, (count, height, width, 3)).copy()
    for index, frame in enumerate(frames):
        frame[2 * index : 2 * index + 2] = 0
    return frames


def decode(video: bytes) -> tuple[av.VideoCodecContext, NDArray[np.uint8]]:
    with av.open(io.BytesIO(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return container.streams.video[0].codec_context, np.stack(frames)


def boxes(video: bytes) -> list[str]:
    """The names of the file's outermost parts, in order."""
    names, position = [], 0
    while position < len(video):
        names.append(video[position + 4 : position + 8].decode())
        position += int.from_bytes(video[position : position + 4], "big")
    return names


class TestMp4:
    @pytest.mark.parametrize(("width", "height"), [(512, 320), (320, 512), (128, 128)])
    def test_plays_everywhere(self, width: int, height: int) -> None:
        """H.264 in the one pixel format that every browser decodes, of the size and length that the
        record tells.
        """
        video = encode_mp4(flat_frames(16, height, width), fps=8)
        codec, frames = decode(video)
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert frames.shape == (16, height, width, 3)

    @pytest.mark.parametrize("fps", [1, 8, 60, Fraction(24_000, 1_001), Fraction(60_000, 1_001)])
    def test_rate_and_length(self, fps: Fraction | int) -> None:
        """16 drawings last 16 / fps seconds."""
        with av.open(io.BytesIO(encode_mp4(flat_frames(16, 64, 64), fps))) as container:
            stream = container.streams.video[0]
            assert (stream.average_rate, stream.frames) == (fps, 16)
            assert float(stream.duration * stream.time_base) == pytest.approx(16 / fps)

    def test_index_stands_in_front(self) -> None:
        """A player begins before the file has ended."""
        names = boxes(encode_mp4(flat_frames(16, 64, 64), fps=8))
        assert names.index("moov") < names.index("mdat")

    def test_colours_are_kept(self) -> None:
        """Within a few levels in the middle of each flat area; the wrong matrix would be off by far
        more.
        """
        _, frames = decode(encode_mp4(flat_frames(16, 128, 320), fps=8))
        for index, colour in enumerate(COLOURS):
            seen = frames[:, 100, index * 64 + 32].astype(int)
            np.testing.assert_allclose(seen, np.broadcast_to(colour, seen.shape), atol=6)

    def test_colours_are_described(self) -> None:
        """So that no player guesses by the picture's size."""
        codec, _ = decode(encode_mp4(flat_frames(16, 64, 64), fps=8))
        bt709, limited = 1, 1  # numbers of ITU-T H.273
        assert (codec.colorspace, codec.color_primaries, codec.color_trc) == (bt709, bt709, bt709)
        assert codec.color_range == limited

    def test_drawings_keep_their_order(self) -> None:
        """Encoders reorder frames inside; the decoder has to put them back."""
        frames = flat_frames(16, 64, 64)
        _, decoded = decode(encode_mp4(frames, fps=8))
        nearest = [
            np.abs(frames.astype(int) - frame).mean(axis=(1, 2, 3)).argmin() for frame in decoded
        ]
        assert nearest == list(range(16))

    def test_same_frames_same_file(self) -> None:
        """A seed promises files equal to the byte."""
        frames = flat_frames(16, 64, 64)
        assert encode_mp4(frames, fps=8) == encode_mp4(frames, fps=8)
