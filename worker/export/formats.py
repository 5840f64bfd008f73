"""Write every format of a request.

A new format also needs a module in this folder and its name in `FileFormat`
(core/records/request.py).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import NamedTuple

from core.records.request import AnyFormat, FileFormat, SequenceFormat
from core.shots.file_names import FileNames
from worker.export.apng import export_apng
from worker.export.contact_sheet import export_contact_sheet
from worker.export.film import Check, Export, Film, no_check
from worker.export.gif import export_gif
from worker.export.mp4 import export_mp4
from worker.export.png import export_png
from worker.export.prores import export_prores
from worker.export.webm import export_webm
from worker.export.webp import export_webp
from worker.export.xdts import export_xdts

MOVING: Mapping[FileFormat, Callable[[Film, Check], Export]] = {
    "mp4": export_mp4,
    "webm": export_webm,
    "gif": export_gif,
    "apng": export_apng,
    "webp": export_webp,
    "prores": export_prores,
}


class Exported(NamedTuple):
    """A finished file, its format, and the variant that it shows; the first is 1."""

    format: FileFormat
    variant: int
    export: Export

    @property
    def moves(self) -> bool:
        """Whether it is a film of its own, and not pictures or a timing sheet."""
        return self.format in MOVING


def export_all(
    outputs: Sequence[AnyFormat],
    films: Sequence[Film],
    keys: Collection[int] = (),
    check: Check = no_check,
    moving: Sequence[Film] | None = None,
) -> Iterator[Exported]:
    """Yield the files of a request, format by format.

    Args:
        outputs: each format once.
        films: one for each variant. All are in one zip and have one timing sheet; of the other
            formats there is a file for each, `video.mp4`, `video-v2.mp4`, …
        keys: indexes of the drawings that are keys.
        check: called between pictures; raises to stop.
        moving: the films as formats that move show them; None for the same.
    """
    sequence = next((one for one in outputs if isinstance(one, SequenceFormat)), SequenceFormat())
    names = FileNames(sequence.name, sequence.shot, sequence.layer, sequence.start)
    for output in outputs:
        if isinstance(output, SequenceFormat):
            zipped = export_png(films[0], names, output.bits, output.each, films[1:], check)
            yield Exported("png", 1, zipped)
        elif output.format == "xdts":
            yield Exported("xdts", 1, export_xdts(films[0], names, sequence.each))
        else:
            for variant, film in enumerate(films, 1):
                if output.format == "contact_sheet":
                    title = _title(sequence, variant, len(films))
                    export = export_contact_sheet(film, keys, title, sequence.start, check)
                else:
                    shown = film if moving is None else moving[variant - 1]
                    export = MOVING[output.format](shown, check)
                yield Exported(output.format, variant, _named(export, variant))


def _named(export: Export, variant: int) -> Export:
    path = PurePath(export.name)
    return export if variant == 1 else replace(export, name=f"{path.stem}-v{variant}{path.suffix}")


def _title(sequence: SequenceFormat, variant: int, variants: int) -> str:
    shot = "" if sequence.shot == SequenceFormat().shot else sequence.shot
    return " · ".join(part for part in (shot, f"variant {variant}" if variants > 1 else "") if part)
