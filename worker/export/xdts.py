"""An exposure sheet in Celsys' XDTS, which Clip Studio Paint and OpenToonz read."""

import json
from fractions import Fraction
from typing import Any

from core.shots.file_names import FileNames
from worker.export.film import Export, Film
from worker.export.png import Each

FIRST_LINE = "exchangeDigitalTimeSheet Save Data"
VERSION = 5  # of 2018-11-29, the only one published
CELLS = 0  # the field of drawings; dialogue is 3, camera work is 5


def export_xdts(film: Film, names: FileNames | None = None, each: Each = "drawing") -> Export:
    """Write the sheet that belongs to the PNG sequence of the same options.

    A cell holds the number in a picture's file name and counts until the next cell. The format has
    no rate; `frameRate` is a member that some programs write and the others ignore.
    """
    names = names or FileNames()
    table = {
        "name": names.shot,
        "duration": film.film_frames,
        "frameRate": _number(film.rate),
        "timeTableHeaders": [{"fieldId": CELLS, "names": [names.layer]}],
        "fields": [
            {"fieldId": CELLS, "tracks": [{"trackNo": 0, "frames": _cells(film, names, each)}]}
        ],
    }
    sheet = {"header": {"cut": "1", "scene": "1"}, "timeTables": [table], "version": VERSION}
    content = f"{FIRST_LINE}\n{json.dumps(sheet, ensure_ascii=False)}\n".encode()
    return Export(content, "timing.xdts", "application/json", film.film_frames, *film.size)


def _cells(film: Film, names: FileNames, each: Each) -> list[dict[str, Any]]:
    shown_from = film.starts[:-1] if each == "drawing" else range(film.film_frames)
    return [
        {"frame": frame, "data": [{"id": 0, "values": [str(names.start + index)]}]}
        for index, frame in enumerate(shown_from)
    ]


def _number(rate: Fraction) -> int | float:
    return rate.numerator if rate.denominator == 1 else round(float(rate), 3)
