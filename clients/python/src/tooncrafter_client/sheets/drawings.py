"""Find the drawing of a number in a folder, and name the new ones as it is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tooncrafter_client.errors import BadInput

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
SEPARATORS = " ._-"


@dataclass(frozen=True)
class Drawing:
    """The file of a numbered cell."""

    path: Path
    number: str  # as the sheet has it

    def name_for(self, number: int) -> str:
        """Return how a drawing of another number is called: `A0001.tif` and 12 give `A0012.png`.

        The number takes as many digits as this one's.
        """
        digits = list(re.finditer(r"\d+", self.path.stem))
        last = digits[-1]
        padded = f"{number:0{len(last[0])}d}"
        return f"{self.path.stem[: last.start()]}{padded}.png"


class Drawings:
    """The drawings of a folder: `A/0001.png`, `A0001.png`, `A_1.png`, or `1.png` for the only
    layer.
    """

    def __init__(self, folder: Path, layers: list[str]) -> None:
        if not folder.is_dir():
            raise BadInput(f"{folder}: no such folder of drawings")
        self._folder = folder
        self._is_only = len(layers) == 1

    def find(self, layer: str, number: str) -> Drawing:
        """Return the drawing of a number of a layer.

        Raises:
            BadInput: there is none, or several are called so.
        """
        wanted = _plain(_without(layer, number))
        found = [path for one, path in self._of_layer(layer) if one == wanted]
        if len(found) == 1:
            return Drawing(found[0], number)
        files = ", ".join(path.name for path in found)
        raise BadInput(
            f"{self._folder}: drawing {number} of layer {layer} "
            + (f"may be any of {files}" if found else "is missing")
        )

    def numbers(self, layer: str) -> list[str]:
        """Return the numbers of all drawings of a layer that lie there."""
        return [number for number, _ in self._of_layer(layer)]

    def _of_layer(self, layer: str) -> Iterator[tuple[str, Path]]:
        """Yield number and file of what may be drawings of a layer."""
        for folder, is_bare in ((self._folder / layer, True), (self._folder, self._is_only)):
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.suffix.lower() not in IMAGES:
                    continue
                number = _without(layer, path.stem)
                if is_bare or number != path.stem:
                    yield _plain(number), path


def _without(layer: str, name: str) -> str:
    """Return a name without the layer's name and separators before it."""
    if name.lower().startswith(layer.lower()):
        return name[len(layer) :].lstrip(SEPARATORS) or name
    return name


def _plain(number: str) -> str:
    """Return `0012A` as `12a`."""
    return number.lower().lstrip("0") or "0"
