"""Celsys' XDTS, an exposure sheet as text: a first line, then JSON.

A value stands from its frame until the next entry. ○ asks for a drawing that has no number yet, ●
for the drawings before in reverse, × for none, | goes on.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tooncrafter_client.errors import BadInput

FIRST_LINE = "exchangeDigitalTimeSheet Save Data"
CELLS = 0  # the field of drawings; dialogue is 3, camera work is 5
NUMBER_DATA = 0  # the data of a cell that names its drawing
IN_BETWEEN = "SYMBOL_TICK_1"  # ○
REVERSE = "SYMBOL_TICK_2"  # ●
NO_DRAWING = ("SYMBOL_NULL_CELL", "")  # ×
GO_ON = "SYMBOL_HYPHEN"  # |
MARK = "#"  # between ○ and its number, within this module


@dataclass(frozen=True)
class Cell:
    """What a layer shows from a film frame on, for `exposure` film frames."""

    value: str
    frame: int  # counted from 0
    exposure: int
    mark: int | None = None  # which ○ of the file it is


@dataclass(frozen=True)
class Layer:
    """A track: its name and its cells, in order, × included."""

    name: str
    cells: list[Cell]


class Sheet:
    """A sheet as it was read; `write` changes nothing but the ○ that have a number by then.

    Attributes:
        layers: of all tables, the bottom one first.
        frame_rate: film frames a second, which some programs write.

    Raises:
        BadInput: the file is no XDTS, or of a form that this does not know.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _read_text(path)
        if text.partition("\n")[0].strip("\ufeff\r ") != FIRST_LINE:
            raise BadInput(f"{path}: is no XDTS; its first line has to be {FIRST_LINE!r}")
        marks = itertools.count()
        # each ○ becomes one of its own, so that writing back is a replacement in the text
        self._marked = re.sub(
            f'"{IN_BETWEEN}"', lambda _: f'"{IN_BETWEEN}{MARK}{next(marks)}"', text
        )
        self._numbers: dict[int, str] = {}
        try:
            tables = list(json.loads(self._marked.partition("\n")[2])["timeTables"])
            rates = [table["frameRate"] for table in tables if table.get("frameRate")]
            self.layers = list(self._layers_of(tables))
        except BadInput:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadInput(f"{path}: is a damaged XDTS: {error!r}") from error
        self.frame_rate: int | float | None = rates[0] if rates else None

    def _layers_of(self, tables: list[dict[str, Any]]) -> Iterator[Layer]:
        for table in tables:
            names = _names(table)
            for part in table.get("fields", []):
                if part.get("fieldId") != CELLS:
                    continue
                for track in part.get("tracks", []):
                    number = track["trackNo"]
                    name = names[number] if 0 <= number < len(names) else f"track {number}"
                    yield Layer(name, self._cells(name, track, int(table["duration"])))

    def renumber(self, cell: Cell, number: str) -> None:
        """Give an ○ the number of its drawing.

        Raises:
            ValueError: the cell is no ○.
        """
        if cell.mark is None:
            raise ValueError(f"{cell} is no in-between")
        self._numbers[cell.mark] = number

    def write(self, path: Path) -> None:
        """Write the file with the numbers that were given, all else as it was, to the byte."""

        def value(found: re.Match[str]) -> str:
            return f'"{self._numbers.get(int(found[1]), IN_BETWEEN)}"'

        text = re.sub(f'"{IN_BETWEEN}{MARK}([0-9]+)"', value, self._marked)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def _cells(self, name: str, track: dict[str, Any], duration: int) -> list[Cell]:
        entries: list[tuple[int, str]] = []
        for one in sorted(track.get("frames", []), key=lambda one: int(one["frame"])):
            frame, value = int(one["frame"]), _number_value(one)
            if value is None:
                continue
            if frame < 0:
                raise BadInput(f"{self.path}: layer {name}: a frame has the number {frame}")
            if entries and entries[-1][0] == frame:
                raise BadInput(f"{self.path}: layer {name}, frame {frame + 1}: stands twice")
            if not _goes_on(value, entries):
                entries.append((frame, value))
        starts = [frame for frame, _ in entries]
        ends = [*starts[1:], max(duration, starts[-1] + 1) if starts else duration]
        return [
            _cell(value, frame, end - frame)
            for (frame, value), end in zip(entries, ends, strict=True)
        ]


def _number_value(entry: dict[str, Any]) -> str | None:
    """Return what an entry says of the drawing, None if it is about something else."""
    values = [data["values"] for data in entry.get("data", []) if data.get("id") == NUMBER_DATA]
    return str(values[0][0]) if values and values[0] else None


def _cell(value: str, frame: int, exposure: int) -> Cell:
    symbol, mark, number = value.partition(MARK)
    return Cell(symbol, frame, exposure, int(number)) if mark else Cell(value, frame, exposure)


def _goes_on(value: str, entries: list[tuple[int, str]]) -> bool:
    """Whether a value says that the one before stands on: |, or the same number again."""
    if value == GO_ON:
        return True
    return not value.startswith("SYMBOL_") and bool(entries) and entries[-1][1] == value


def _names(table: dict[str, Any]) -> list[str]:
    headers = table.get("timeTableHeaders", [])
    return next((one["names"] for one in headers if one.get("fieldId") == CELLS), [])


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text in UTF-8") from error
