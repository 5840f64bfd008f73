"""What an exposure sheet asks for, and how it is written back.

The sheets are made by hand after the public layouts of a paint program, an animation program and
an exporter's script.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tooncrafter_client import BadInput
from tooncrafter_client.sheets.drawings import Drawings
from tooncrafter_client.sheets.filling import SheetShot, shots_of
from tooncrafter_client.sheets.xdts import FIRST_LINE, Sheet

SHEETS = Path(__file__).parents[2] / "data" / "sheets"
IN_BETWEEN, REVERSE, NONE, ON = (
    f"SYMBOL_{name}" for name in ("TICK_1", "TICK_2", "NULL_CELL", "HYPHEN")
)
Read = Callable[..., list[SheetShot]]


def cells(values: list[str]) -> dict[str, Any]:
    """A sheet with one layer A, each cell two film frames long."""
    frames = [
        {"frame": 2 * index, "data": [{"id": 0, "values": [value]}]}
        for index, value in enumerate(values)
    ]
    fields = [{"fieldId": 0, "tracks": [{"trackNo": 0, "frames": frames}]}]
    headers = [{"fieldId": 0, "names": ["A"]}]
    table = {
        "name": "t",
        "duration": 2 * len(values),
        "timeTableHeaders": headers,
        "fields": fields,
    }
    return {"timeTables": [table], "version": 5}


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Shots of a sheet with these cells; the drawings 1 to 40 lie beside it."""

    def shots(*values: str) -> list[SheetShot]:
        sheet = tmp_path / "sheet.xdts"
        sheet.write_text(f"{FIRST_LINE}\n{json.dumps(cells([*values]))}")
        (tmp_path / "A").mkdir(exist_ok=True)
        for value in values:
            if value.isdecimal():
                (tmp_path / "A" / f"{value}.png").touch()
        return shots_of(Sheet(sheet), Drawings(tmp_path, ["A"]))

    return shots


def numbers(shot: SheetShot) -> list[tuple[int, int]]:
    """Index in the shot, and number, of what is to be drawn."""
    return [(new.index, new.number) for new in shot.new]


class TestShots:
    def test_ticks_between_keys(self, read: Read) -> None:
        """Their exposure is what the sheet says."""
        (shot,) = read("1", IN_BETWEEN, ON, IN_BETWEEN, "4")
        assert [key.frame for key in shot.keys] == [0, 3]
        assert shot.exposure == [2, 4, 2, 2]
        assert numbers(shot) == [(1, 2), (2, 3)]

    def test_one_shot_for_each_stretch(self, read: Read) -> None:
        """× splits, and so do keys with nothing to draw between them."""
        t = IN_BETWEEN
        shots = read("1", t, "3", NONE, "4", t, "6", "7", "8", t, "10", t, "12")
        assert [[key.frame for key in shot.keys] for shot in shots] == [[0, 2], [0, 2], [0, 2, 4]]

    def test_most_keys_of_a_request(self, read: Read) -> None:
        """A longer stretch goes on from the key at which the request before ends."""
        values = [value for number in range(1, 41, 2) for value in (str(number), IN_BETWEEN)]
        first, second = read(*values[:-1])
        assert (len(first.keys), len(second.keys)) == (16, 5)
        assert first.keys[-1].image == second.keys[0].image
        assert len(first.new) + len(second.new) == 19

    def test_reverse_is_left_as_it_is(self, read: Read) -> None:
        """● shows drawings that ○ asks for already."""
        (shot,) = read("1", IN_BETWEEN, IN_BETWEEN, "4", REVERSE, REVERSE, "1")
        assert numbers(shot) == [(1, 2), (2, 3)]

    def test_numbers_that_are_taken(self, read: Read, tmp_path: Path) -> None:
        """Those of drawings that lie in the folder as well."""
        (tmp_path / "A").mkdir()
        (tmp_path / "A" / "2.png").touch()
        (shot,) = read("1", IN_BETWEEN, IN_BETWEEN, "4")
        assert [number for _, number in numbers(shot)] == [3, 5]

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ([IN_BETWEEN, "1"], "layer A, frame 1: ○ has no numbered drawing before it"),
            (["1", IN_BETWEEN, NONE], "layer A, frame 3: ○ has no numbered drawing after it"),
            (["1", REVERSE, REVERSE, "2"], "layer A, frame 3: ● has no drawings"),
            (["1", IN_BETWEEN, REVERSE, "2"], "layer A, frame 5: ○ and ● stand between"),
            (["1", "SYMBOL_STAR", "2"], "layer A, frame 3: SYMBOL_STAR is unknown"),
            (["1", *[IN_BETWEEN] * 63, "65"], "layer A, frame 3: more than 62 drawings"),
            (["1", IN_BETWEEN, "2a"], "layer A, frame 5: .*drawing 2a of layer A is missing"),
        ],
    )
    def test_what_cannot_be_drawn_is_refused(
        self, read: Read, values: list[str], words: str
    ) -> None:
        with pytest.raises(BadInput, match=words):
            read(*values)


class TestDrawings:
    @pytest.mark.parametrize(
        ("file", "number", "named"),
        [
            ("A/0001.png", "1", "0012.png"),
            ("A0001.tif", "1", "A0012.png"),
            ("a_1.webp", "A1", "a_12.png"),
            ("1.png", "0001", "12.png"),
            ("A/cut3_A.png", "cut3_a", "cut12.png"),
        ],
    )
    def test_names_of_files(self, tmp_path: Path, file: str, number: str, named: str) -> None:
        """New drawings are called as their neighbour is."""
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
        found = Drawings(tmp_path, ["A"]).find("A", number)
        assert found.path == tmp_path / file
        assert found.name_for(12) == named

    def test_ambiguous_name(self, tmp_path: Path) -> None:
        for name in ("A1.png", "A_01.png"):
            (tmp_path / name).touch()
        with pytest.raises(BadInput, match="may be any of"):
            Drawings(tmp_path, ["A"]).find("A", "1")

    def test_number_alone_is_for_one_layer_only(self, tmp_path: Path) -> None:
        (tmp_path / "1.png").touch()
        with pytest.raises(BadInput, match="is missing"):
            Drawings(tmp_path, ["A", "B"]).find("A", "1")


class TestSheets:
    @pytest.mark.parametrize(
        ("name", "files", "changed"),
        [
            (
                "paint",
                ("A/1.png", "A/5.png", "B/1.png", "B/2.png", "B/3.png", "B/4.png"),
                {2: "2", 4: "3", 8: "4", 6: "5", 18: "6"},
            ),
            ("animation", ("face_A1.png", "face_A2.png"), {2: "3", 4: "4"}),
            ("script", ("0001.png", "0003.png"), {3: "2"}),
        ],
    )
    def test_only_open_cells_change(
        self, tmp_path: Path, name: str, files: tuple[str, ...], changed: dict[int, str]
    ) -> None:
        """Dialogue, camera, layout of lines and every other value stay, to the byte."""
        for file in files:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).touch()
        sheet = Sheet(SHEETS / f"{name}.xdts")
        layers = [layer.name for layer in sheet.layers]
        new = [new for shot in shots_of(sheet, Drawings(tmp_path, layers)) for new in shot.new]
        assert {one.cell.frame: str(one.number) for one in new} == changed
        for one in new:
            sheet.renumber(one.cell, str(one.number))
        sheet.write(tmp_path / "filled.xdts")

        before = (SHEETS / f"{name}.xdts").read_text()
        for number in [str(one.number) for one in new]:
            before = before.replace(IN_BETWEEN, number, 1)
        assert (tmp_path / "filled.xdts").read_text() == before

    def test_rate(self) -> None:
        """Some programs write it; the format itself has none."""
        assert Sheet(SHEETS / "script.xdts").frame_rate == 24
        assert Sheet(SHEETS / "paint.xdts").frame_rate is None

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{}", "is no XDTS"),
            (f"{FIRST_LINE}\n{{", "is a damaged XDTS"),
            (f"{FIRST_LINE}\n{{}}", "is a damaged XDTS"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path: Path, text: str, words: str) -> None:
        (tmp_path / "x.xdts").write_text(text)
        with pytest.raises(BadInput, match=words):
            Sheet(tmp_path / "x.xdts")

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (["timeTables"], [1]),
            (["timeTables", 0, "duration"], "long"),
            (["timeTables", 0, "fields"], 3),
            (["timeTables", 0, "fields", 0, "tracks", 0, "trackNo"], "A"),
            (["timeTables", 0, "fields", 0, "tracks", 0, "frames", 0], "1"),
            (["timeTables", 0, "fields", 0, "tracks", 0, "frames", 0, "frame"], None),
            (["timeTables", 0, "fields", 0, "tracks", 0, "frames", 0, "data", 0, "values"], 1),
        ],
    )
    def test_damage_is_named_wherever_it_lies(
        self, tmp_path: Path, place: list[Any], value: object
    ) -> None:
        sheet = cells(["1", IN_BETWEEN, "3"])
        inner: Any = sheet
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        (tmp_path / "x.xdts").write_text(f"{FIRST_LINE}\n{json.dumps(sheet)}")
        with pytest.raises(BadInput, match="is a damaged XDTS"):
            Sheet(tmp_path / "x.xdts")

    def test_drawing_that_stands_for_a_minute(self, tmp_path: Path) -> None:
        """A request takes shorter ones only, and no drawing depends on it."""
        sheet = cells(["1", IN_BETWEEN, "3"])
        sheet["timeTables"][0]["duration"] = 1500
        (tmp_path / "x.xdts").write_text(f"{FIRST_LINE}\n{json.dumps(sheet)}")
        for number in (1, 3):
            (tmp_path / f"A{number}.png").touch()
        (shot,) = shots_of(Sheet(tmp_path / "x.xdts"), Drawings(tmp_path, ["A"]))
        assert shot.exposure == [2, 2, 1000]

    def test_frame_before_the_first(self, tmp_path: Path) -> None:
        sheet = cells(["1"])
        sheet["timeTables"][0]["fields"][0]["tracks"][0]["frames"][0]["frame"] = -3
        (tmp_path / "x.xdts").write_text(f"{FIRST_LINE}\n{json.dumps(sheet)}")
        with pytest.raises(BadInput, match="layer A: a frame has the number -3"):
            Sheet(tmp_path / "x.xdts")
