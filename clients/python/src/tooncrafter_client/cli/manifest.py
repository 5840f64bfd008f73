"""What a batch draws: the rows of a CSV file, or the keyframes of a folder."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.errors import BadInput

IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
NUMBER = re.compile(r"[ ._-]*(?:frame|key)?[ ._-]*(\d+)$", re.IGNORECASE)
PROMPTS = "prompts.txt"
KEY_COLUMN = re.compile(r"key_?\d+|first|last", re.IGNORECASE)
LISTS = ("format", "sketch")  # their values have `;` between


@dataclass(frozen=True)
class BatchItem:
    """One shot of a batch; its results go into a folder of its name."""

    name: str
    keys: list[str]
    shot: ShotArguments


def read_batch(source: Path, defaults: ShotArguments) -> list[BatchItem]:
    """Return the shots of a manifest or a folder.

    Args:
        source: a CSV file with a header, or a folder of drawings.
        defaults: options for whatever a row leaves out.

    Raises:
        BadInput: there is none, or a row cannot be read; the message names file and row.
    """
    if source.is_dir():
        items = list(_from_folder(source, defaults))
    elif source.is_file():
        items = list(_from_manifest(source, defaults))
    else:
        raise BadInput(f"{source}: no such file or folder")
    if not items:
        raise BadInput(f"{source}: no shot in it; each needs at least two drawings")
    twice = [name for name, count in Counter(item.name for item in items).items() if count > 1]
    if twice:
        raise BadInput(f"{source}: several shots are called {', '.join(twice)}")
    return items


def _from_manifest(source: Path, defaults: ShotArguments) -> Iterator[BatchItem]:
    """Columns `key1`, `key2`, … or `first` and `last`, perhaps `name`; all others are options."""
    known = {field.name for field in fields(ShotArguments)}
    with source.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = [column for column in rows.fieldnames or [] if column]
        keys = [column for column in columns if KEY_COLUMN.fullmatch(column)]
        if len(keys) < 2:
            raise BadInput(f"{source}: needs columns `first` and `last`, or `key1`, `key2`, …")
        if unknown := set(columns) - known - set(keys) - {"name"}:
            raise BadInput(f"{source}: unknown columns: {', '.join(sorted(unknown))}")
        for row in rows:
            where = f"{source}, line {rows.line_num}"
            given = {name: value for name in columns if (value := (row[name] or "").strip())}
            images = [str(_beside(source, given[key])) for key in keys if key in given]
            name = given.get("name") or "_".join(Path(image).stem for image in images)
            own = {field: value for field, value in given.items() if field in known}
            yield BatchItem(_safe(name, where), images, _read_options(own, defaults, where))


def _beside(source: Path, image: str) -> str | Path:
    """Return an address as it is; a path counts from the manifest's folder."""
    return image if "://" in image else source.parent / image


def _safe(name: str, where: str) -> str:
    if Path(name).name != name or name in (".", ".."):
        raise BadInput(f"{where}: `name` has to be usable as a folder's name but is {name!r}")
    return name


def _read_options(own: dict[str, str], defaults: ShotArguments, where: str) -> ShotArguments:
    values: dict[str, Any] = {
        name: value.split(";") if name in LISTS else value for name, value in own.items()
    }
    try:
        read = TypeAdapter(ShotArguments).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{where}: {first['loc'][0]}: {first['msg']}") from error
    return replace(defaults, **{name: getattr(read, name) for name in own})


def _from_folder(source: Path, defaults: ShotArguments) -> Iterator[BatchItem]:
    """Subfolders are shots; else files whose names differ by a number at the end.

    `prompts.txt` has one line for each shot, in the order of their names.
    """
    folders = sorted(path for path in source.iterdir() if path.is_dir())
    groups = [(folder.name, _drawings(folder.iterdir())) for folder in folders]
    groups += _by_name(_drawings(source.iterdir()))
    shots = sorted((name, keys) for name, keys in groups if len(keys) > 1)
    prompts = _prompts(source / PROMPTS, len(shots))
    for (name, keys), prompt in zip(shots, prompts, strict=True):
        shot = defaults if prompt is None else replace(defaults, prompt=prompt)
        yield BatchItem(name, [str(key) for key in keys], shot)


def _drawings(paths: Iterable[Path]) -> list[Path]:
    """Return the images in natural order: `2` before `10`."""
    return sorted((path for path in paths if path.suffix.lower() in IMAGES), key=_natural)


def _by_name(drawings: list[Path]) -> list[tuple[str, list[Path]]]:
    """Group `cat_1.png`, `cat_2.png` as `cat`, and `x_frame1.png`, `x_frame3.png` as `x`."""

    def shot_of(path: Path) -> str:
        return NUMBER.sub("", path.stem) or "shot"

    return [(name, list(keys)) for name, keys in groupby(sorted(drawings, key=shot_of), shot_of)]


def _natural(path: Path) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)
    ]


def _prompts(path: Path, shots: int) -> list[str | None]:
    if not path.exists():
        return [None] * shots
    prompts = path.read_text(encoding="utf-8").splitlines()
    if len(prompts) != shots:
        raise BadInput(f"{path}: has {len(prompts)} lines for {shots} shots")
    return [*prompts]
