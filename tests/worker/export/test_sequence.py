"""Numbered PNG files, the exposure sheet that belongs to them, and the contact sheet."""

import json
import re
import subprocess
import zipfile
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from core.shots.file_names import FileNames
from testkit.worker.films import drawn, needs_ffmpeg
from worker.export.contact_sheet import EDGE, GROUND, KEY, arrange, export_contact_sheet
from worker.export.film import Film
from worker.export.png import Each, export_png
from worker.export.xdts import export_xdts


def film(alpha: bool = True) -> Film:
    drawings = drawn(3, 45, 77)
    return Film(drawings if alpha else drawings[..., :3].copy(), [2, 1, 4], Fraction(24))


def unzip(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        return {name: archive.read(name) for name in archive.namelist()}


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(BytesIO(png)))


class TestPng:
    @pytest.mark.parametrize("alpha", [True, False])
    def test_every_pixel_is_kept(self, alpha: bool) -> None:
        source = film(alpha)
        files = unzip(export_png(source).content)
        assert list(files) == ["shot_A.0001.png", "shot_A.0002.png", "shot_A.0003.png"]
        assert all(
            (pixels(png) == drawing).all()
            for png, drawing in zip(files.values(), source.drawings, strict=True)
        )

    @needs_ffmpeg
    @pytest.mark.parametrize("alpha", [True, False])
    def test_16_bits(self, alpha: bool, tmp_path: Path) -> None:
        """The whole range: 255 becomes 65535."""
        source = film(alpha)
        layout, channels = ("rgba64le", 4) if alpha else ("rgb48le", 3)
        files = unzip(export_png(source, bits=16).content)
        for png, drawing in zip(files.values(), source.drawings, strict=True):
            assert (png[24], png[25]) == (16, 6 if alpha else 2)  # depth and kind in IHDR
            Path(tmp_path, "a.png").write_bytes(png)
            command = ["ffmpeg", "-v", "error", "-i", tmp_path / "a.png", "-f", "rawvideo"]
            raw = subprocess.run(
                [*command, "-pix_fmt", layout, "-"], capture_output=True, check=True
            ).stdout
            read = np.frombuffer(raw, "<u2").reshape(45, 77, channels)
            assert (read == drawing.astype(np.uint16) * 257).all()

    @pytest.mark.parametrize("bits", [8, 16])
    def test_is_marked_as_srgb(self, bits: Any) -> None:
        assert all(b"sRGB" in png for png in unzip(export_png(film(), bits=bits).content).values())

    def test_a_file_for_each_film_frame(self) -> None:
        """Numbered by film frames, for programs that play sequences."""
        names = FileNames("{shot}/{layer}-{frame:05d}.png", "cut12", "B", 1001)
        exported = export_png(film(), names, each="film_frame")
        files = unzip(exported.content)
        assert list(files) == [f"cut12/B-{n:05d}.png" for n in range(1001, 1008)]
        assert exported.frames == 7
        shown = [pixels(png) for png in files.values()]
        assert (np.stack(shown) == film().drawings.repeat([2, 1, 4], 0)).all()

    def test_variants_have_folders(self) -> None:
        exported = export_png(film(), further=[film(), film()])
        assert list(unzip(exported.content)) == [
            f"v{variant}/shot_A.{n:04d}.png" for variant in (1, 2, 3) for n in (1, 2, 3)
        ]
        assert exported.frames == 9

    @pytest.mark.parametrize("bits", [8, 16])
    def test_same_film_same_file(self, bits: Any) -> None:
        assert export_png(film(), bits=bits).content == export_png(film(), bits=bits).content


def read_xdts(content: bytes) -> tuple[str, int, list[str]]:
    """Read a sheet as the format's description says: layer, length, the cell of each frame."""
    first, _, rest = content.decode("utf-8").partition("\n")
    assert first == "exchangeDigitalTimeSheet Save Data"
    sheet = json.loads(rest)
    assert sheet["version"] == 5
    assert all(re.fullmatch(r"\d{1,4}", sheet["header"][name]) for name in ("cut", "scene"))
    (table,) = sheet["timeTables"]
    (header,), (field,) = table["timeTableHeaders"], table["fields"]
    assert header["fieldId"] == field["fieldId"] == 0
    (track,) = field["tracks"]
    cells: list[str] = []
    for entry in track["frames"]:
        cells += cells[-1:] * (entry["frame"] - len(cells))
        (data,) = entry["data"]
        cells += data["values"]
    cells += cells[-1:] * (table["duration"] - len(cells))
    return header["names"][track["trackNo"]], table["duration"], cells


class TestXdts:
    @settings(deadline=None)
    @given(
        st.lists(st.integers(1, 9), min_size=1, max_size=20),
        st.integers(0, 2000),
        st.sampled_from(["drawing", "film_frame"]),
    )
    def test_every_film_frame_finds_its_picture(
        self, exposures: list[int], start: int, each: Each
    ) -> None:
        """The cell is the number in the name of the file that shows the frame's drawing."""
        drawings = np.arange(len(exposures), dtype=np.uint8)[:, None, None, None].repeat(3, 3)
        source = Film(drawings, exposures, Fraction(24))
        names = FileNames(start=start)
        layer, duration, cells = read_xdts(export_xdts(source, names, each).content)
        files = unzip(export_png(source, names, each=each).content)
        shown = [pixels(files[f"shot_{layer}.{int(cell):04d}.png"])[0, 0, 0] for cell in cells]
        assert duration == sum(exposures)
        assert shown == np.arange(len(exposures)).repeat(exposures).tolist()

    def test_names_may_be_in_any_script(self) -> None:
        layer, _, _ = read_xdts(export_xdts(film(), FileNames(layer="原画")).content)
        assert layer == "原画"


class TestContactSheet:
    def test_shows_every_drawing_and_marks_keys(self) -> None:
        """A key's frame is thick and coloured, that of a drawing between is a gray line."""
        source = Film(drawn(5, 45, 77), [1, 1, 2, 1, 9], Fraction(24))
        exported = export_contact_sheet(source, keys=[0, 4], title="原画 cut 12")
        sheet = pixels(exported.content)
        assert sheet.shape == (exported.height, exported.width, 3)
        grid = arrange(5, 77, 45)
        for index in range(5):
            left, top = grid.place(index)
            edge = sheet[top + grid.height // 2, left - 1]
            assert tuple(edge) == (KEY if index in (0, 4) else EDGE)
            inside = sheet[top : top + grid.height, left : left + grid.width]
            assert inside.std() > 20  # a drawing, not the empty ground

    @settings(deadline=None)
    @given(st.integers(1, 1000), st.integers(1, 3000), st.integers(1, 3000))
    def test_any_count_and_shape_fits(self, count: int, width: int, height: int) -> None:
        grid = arrange(count, width, height)
        assert grid.columns * grid.rows >= count > grid.columns * (grid.rows - 1)
        left, top = grid.place(count - 1)
        assert left + grid.width < grid.size[0]
        assert top + grid.height < grid.size[1]

    def test_margin_is_empty(self) -> None:
        sheet = pixels(export_contact_sheet(film(), keys=[0, 2]).content)
        assert (sheet[:8] == GROUND).all()
        assert (sheet[-8:] == GROUND).all()

    def test_same_film_same_file(self) -> None:
        assert export_contact_sheet(film()).content == export_contact_sheet(film()).content
