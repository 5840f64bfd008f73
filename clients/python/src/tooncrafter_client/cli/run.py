"""`run`: one shot, from keyframes to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.service import INTERRUPTED, Service, command, err
from tooncrafter_client.cli.sheet import fill_sheet
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.client import Client
from tooncrafter_client.errors import BadInput
from tooncrafter_client.models import Job
from tooncrafter_client.sheets.xdts import Sheet

KEYS = typer.Argument(metavar="KEY...", help="2 to 16 drawings in order: files or https addresses.")
Keys = Annotated[list[str], KEYS]
SHEET = "Timing sheet"


@command
def run(
    shot: ShotArguments,
    service: Service,
    keys: Annotated[list[str] | None, KEYS] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("out"),
    xdts: Annotated[
        Path | None,
        typer.Option(help="Draw every ○ of this exposure sheet.", rich_help_panel=SHEET),
    ] = None,
    drawings: Annotated[
        Path | None,
        typer.Option(help="Folder of the numbered drawings.", rich_help_panel=SHEET),
    ] = None,
) -> None:
    """Draw what lies between keyframes and write the files.

    Ctrl-C cancels the job.

    With --xdts, numbered cells are keys and ○ are drawings to make; the sheet is written beside
    them with their numbers.
    """
    if bool(keys) == bool(xdts) or bool(xdts) != bool(drawings):
        raise BadInput("give either two or more keyframes, or --xdts and --drawings")
    with service.client() as client:
        if xdts and drawings:
            files = fill_sheet(client, Sheet(xdts), drawings, out, shot, service)
            service.tell(f"{len(files) - 1} drawings and the sheet in {out}", files=files)
        else:
            _run_shot(client, keys or [], shot, service, out)


def _run_shot(
    client: Client, keys: list[str], shot: ShotArguments, service: Service, out: Path
) -> None:
    job = client.submit(*shot.keyframes(keys), **shot.options())
    job = _follow(client, job, service)
    files = client.save(job, out)
    if not service.json and job.model and not job.model.get("trained", True):
        err.print("[yellow]untrained[/]: the weights are random, so the drawings are noise")
    count = f"{len(files)} files" if len(files) != 1 else "1 file"
    words = f"{count} in {out} (seed {job.request.get('seed')}, {job.id})"
    service.tell(words, job=job, files=files)


def _follow(client: Client, job: Job, service: Service) -> Job:
    for warning in job.warnings:
        if not service.json:
            err.print(f"[yellow]{warning.code}[/]: {warning.detail}")
    try:
        with ProgressView(quiet=service.json) as view:
            return client.wait(job, lambda state: view.show(job.id, state))
    except KeyboardInterrupt:
        err.print(f"canceled {client.cancel(job).id}")
        raise typer.Exit(INTERRUPTED) from None
