"""From a sheet to shots: which keys, how many drawings between them, and their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from tooncrafter_client.errors import BadInput
from tooncrafter_client.sheets.drawings import Drawing, Drawings
from tooncrafter_client.sheets.xdts import IN_BETWEEN, NO_DRAWING, REVERSE, Cell, Layer, Sheet
from tooncrafter_client.shots import Keyframe

MOST_KEYS = 16  # of one request
MOST_BETWEEN = 62
LONGEST_HOLD = 1000  # film frames; the drawings are the same, however long they are shown


@dataclass(frozen=True)
class NewDrawing:
    """A drawing to make: which of its shot, for which cell, under which number and file name."""

    index: int  # counted in drawings from the shot's first key, which is 0
    cell: Cell
    number: int
    file_name: str


@dataclass(frozen=True)
class SheetShot:
    """Keys without a gap that has no ○, and what is to be drawn between them."""

    layer: str
    keys: list[Keyframe]
    exposure: list[int]  # film frames of every drawing, keys included
    new: list[NewDrawing]


def shots_of(sheet: Sheet, drawings: Drawings) -> list[SheetShot]:
    """Return what has to be drawn for a sheet.

    Raises:
        BadInput: something cannot be drawn; the message names layer and frame.
    """
    return [shot for layer in sheet.layers for shot in _shots_of_layer(layer, drawings)]


def _shots_of_layer(layer: Layer, drawings: Drawings) -> Iterator[SheetShot]:
    numbers = Numbers([cell.value for cell in layer.cells] + drawings.numbers(layer.name))
    for has_drawing, cells in groupby(layer.cells, lambda cell: cell.value not in NO_DRAWING):
        stretch = list(cells)
        if has_drawing:
            _check(layer, stretch)
            for run in _runs(stretch):
                yield _shot(layer, run, drawings, numbers)


def _check(layer: Layer, stretch: list[Cell]) -> None:
    """Refuse what cannot be drawn: ○ without a key on either side, ● with nothing to repeat."""
    keys = [index for index, cell in enumerate(stretch) if _is_key(cell)]
    for index, cell in enumerate(stretch):
        before = max((key for key in keys if key <= index), default=None)
        after = min((key for key in keys if key >= index), default=None)
        if cell.value == IN_BETWEEN and (before is None or after is None):
            side = "before" if before is None else "after"
            raise _refusal(layer, cell, f"○ has no numbered drawing {side} it")
        if cell.value == IN_BETWEEN and after - before - 1 > MOST_BETWEEN:  # type: ignore[operator]
            raise _refusal(layer, cell, f"more than {MOST_BETWEEN} drawings between two keys")
        if index and {cell.value, stretch[index - 1].value} == {IN_BETWEEN, REVERSE}:
            raise _refusal(layer, cell, "○ and ● stand between the same two keys")
        if cell.value == REVERSE and not _has_mirror(stretch, index, before, after):
            raise _refusal(layer, cell, "● has no drawings before or after it to repeat backwards")
        if not _is_key(cell) and cell.value not in (IN_BETWEEN, REVERSE):
            raise _refusal(layer, cell, f"{cell.value} is unknown")


def _has_mirror(stretch: list[Cell], index: int, before: int | None, after: int | None) -> bool:
    """Whether the drawings on the other side of the nearest key reach as far as this ●."""
    mirrors = [2 * key - index for key in (before, after) if key is not None]
    return any(
        0 <= mirror < len(stretch) and stretch[mirror].value != REVERSE for mirror in mirrors
    )


def _runs(stretch: list[Cell]) -> Iterator[list[Cell]]:
    """Yield the parts of a stretch that one request draws, from key to key.

    Neighbouring keys without ○ between them need no model, and a request has at most 16 keys.
    """
    keys = [index for index, cell in enumerate(stretch) if _is_key(cell)]
    run: list[int] = []
    for first, last in pairwise(keys):
        between = stretch[first + 1 : last]
        if not between or between[0].value != IN_BETWEEN:
            if run:
                yield stretch[run[0] : run[-1] + 1]
            run = []
            continue
        if len(run) == MOST_KEYS:
            yield stretch[run[0] : run[-1] + 1]
            run = []
        run = [*run, last] if run else [first, last]
    if run:
        yield stretch[run[0] : run[-1] + 1]


def _shot(layer: Layer, run: list[Cell], drawings: Drawings, numbers: Numbers) -> SheetShot:
    keys: list[Keyframe] = []
    new: list[NewDrawing] = []
    named: Drawing | None = None
    for index, cell in enumerate(run):
        if _is_key(cell):
            try:
                named = drawings.find(layer.name, cell.value)
            except BadInput as error:
                raise _refusal(layer, cell, str(error)) from error
            keys.append(Keyframe(named.path, frame=index))
        elif named:
            after = next(one for one in run[index:] if _is_key(one))
            number = numbers.between(named.number, after.value)
            new.append(NewDrawing(index, cell, number, named.name_for(number)))
    return SheetShot(layer.name, keys, [min(cell.exposure, LONGEST_HOLD) for cell in run], new)


def _is_key(cell: Cell) -> bool:
    return not cell.value.startswith("SYMBOL_")


def _refusal(layer: Layer, cell: Cell, words: str) -> BadInput:
    return BadInput(f"layer {layer.name}, frame {cell.frame + 1}: {words}")


class Numbers:
    """Gives new drawings numbers that the layer has not used.

    Between 1 and 5 they are 2, 3 and 4; where no number is left between two keys, they go on after
    the layer's largest.
    """

    def __init__(self, used: list[str]) -> None:
        self._used = {number for value in used if (number := _number(value)) is not None}

    def between(self, first: str, last: str) -> int:
        """Return the next free number between two keys, or after all."""
        low, high = _number(first), _number(last)
        after = max(self._used, default=0) + 1
        free = range((low or 0) + 1, high or 0)
        number = next((one for one in free if one not in self._used), after)
        self._used.add(number)
        return number


def _number(value: str) -> int | None:
    """Return the number in `2a` or `A1`, None for symbols."""
    found = re.search(r"\d+", value)
    return int(found[0]) if found and not value.startswith("SYMBOL_") else None
