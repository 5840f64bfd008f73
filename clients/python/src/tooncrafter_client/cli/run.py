"""`run`: one shot, from keyframes to files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.service import INTERRUPTED, Service, command, err
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.client import Client
from tooncrafter_client.models import Job

Keys = Annotated[
    list[str],
    typer.Argument(metavar="KEY...", help="2 to 16 drawings in order: files or https addresses."),
]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]


@command
def run(keys: Keys, shot: ShotArguments, service: Service, out: Out = Path("out")) -> None:
    """Draw what lies between keyframes and write the files.

    Ctrl-C cancels the job.
    """
    with service.client() as client:
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
