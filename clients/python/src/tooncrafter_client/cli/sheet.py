"""`run --xdts`: draw what an exposure sheet leaves open."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.service import Service
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.client import Client
from tooncrafter_client.errors import BadInput
from tooncrafter_client.sheets.drawings import Drawings
from tooncrafter_client.sheets.filling import SheetShot, shots_of
from tooncrafter_client.sheets.xdts import Sheet

BY_SHEET = ("between", "on", "at", "loop", "format", "png_name", "start", "each")
NAME = "{frame:06d}.png"  # of a drawing within the archive; the first is 1


def fill_sheet(
    client: Client, sheet: Sheet, folder: Path, out: Path, shot: ShotArguments, service: Service
) -> list[Path]:
    """Draw every ○ of a sheet; write the drawings and the sheet with their numbers.

    Args:
        client: of the service.
        sheet: numbered cells are keys.
        folder: the drawings of those numbers.
        out: folder for what is made.
        shot: options for all shots; what the sheet says may not be among them.
        service: how progress is told.

    Raises:
        BadInput: something cannot be drawn; the message names layer and frame.
    """
    if said := [name for name in BY_SHEET if getattr(shot, name)]:
        raise BadInput(f"--{said[0].replace('_', '-')} is what the sheet says; leave it out")
    shots = shots_of(sheet, Drawings(folder, [layer.name for layer in sheet.layers]))
    if not shots:
        raise BadInput(f"{sheet.path}: no ○ in it, so there is nothing to draw")
    if shot.fps is None and sheet.frame_rate:
        shot = replace(shot, fps=str(sheet.frame_rate))
    with ProgressView(quiet=service.json) as view:
        files = [file for one in shots for file in _draw(client, one, out, shot, view)]
    for new in (new for one in shots for new in one.new):
        sheet.renumber(new.cell, str(new.number))
    sheet.write(out / sheet.path.name)
    return [*files, out / sheet.path.name]


def _draw(
    client: Client, sheet_shot: SheetShot, out: Path, shot: ShotArguments, view: ProgressView
) -> list[Path]:
    """Draw one shot; keep the drawings that the sheet asked for, under their own numbers."""
    options = shot.options()
    png = {"format": "png", "name": NAME, "start": 1, "bits": shot.bits or 8}
    options |= {"outputs": [png], "on": sheet_shot.exposure}
    name = f"{sheet_shot.layer} {sheet_shot.new[0].cell.frame + 1}"
    job = client.submit(*sheet_shot.keys, **options)
    job = client.wait(job, lambda state: view.show(name, state))
    view.end(name)
    folder = out / sheet_shot.layer
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as made:
        client.save(job, made)
        drawings = [Path(made) / NAME.format(frame=new.index + 1) for new in sheet_shot.new]
        return [
            Path(shutil.move(drawing, folder / new.file_name))
            for drawing, new in zip(drawings, sheet_shot.new, strict=True)
        ]
