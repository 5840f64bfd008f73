"""`submit`, `watch`, `get`, `cancel`, `ls`: jobs one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.run import Keys
from tooncrafter_client.cli.service import Service, command, out, print_json
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.models import Job

JobId = Annotated[str, typer.Argument(metavar="JOB", help="`itp_…`, as `submit` and `ls` show it.")]

COLUMNS = ("status", "created", "seconds", "pictures", "prompt")


@command
def submit(keys: Keys, shot: ShotArguments, service: Service) -> None:
    """Make a job, print its id, and do not wait."""
    with service.client() as client:
        job = client.submit(*shot.keyframes(keys), **shot.options())
    service.tell(job.id, job=job)


@command
def watch(
    job: JobId,
    service: Service,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
) -> None:
    """Wait for a job; exit 0 if it succeeds, 1 if it fails. Ctrl-C leaves it running."""
    with service.client() as client:
        with ProgressView(quiet=service.json) as view:
            ended = client.wait(job, lambda state: view.show(job, state))
        files = client.save(ended, out) if out else []
    service.tell(f"{ended.id} {ended.status}", job=ended, files=files)


@command
def get(
    job: JobId,
    service: Service,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
) -> None:
    """Show a job as it stands, or fetch its results with --out."""
    with service.client() as client:
        found = client.get(job)
        files = client.save(found, out) if out else []
    if service.json:
        print_json({"job": found, "files": files})
    else:
        _show(found, files)


@command
def cancel(job: JobId, service: Service) -> None:
    """Cancel a job; one that has ended stays as it is."""
    with service.client() as client:
        canceled = client.cancel(job)
    said = canceled.status if canceled.has_ended else "ends within a moment"
    service.tell(f"{canceled.id} {said}", job=canceled)


@command
def ls(
    service: Service,
    status: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed or canceled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 20,
) -> None:
    """List jobs, the newest first."""
    table = Table(Column("job", no_wrap=True), *COLUMNS, box=None)
    with service.client() as client:
        for job in client.jobs(status=status, most=limit):
            if service.json:
                print_json(job)
            else:
                table.add_row(*_row(job))
    if not service.json:
        out.print(table)


def _row(job: Job) -> tuple[str, ...]:
    seconds = job.timing.get("run_seconds")
    frames = str(job.outputs[0].frames) if job.outputs else ""
    created = f"{job.created_at.astimezone():%Y-%m-%d %H:%M:%S}"
    prompt = str(job.request.get("prompt", ""))[:40]
    return job.id, job.status, created, f"{seconds:.1f}" if seconds else "", frames, prompt


def _show(job: Job, files: list[Path]) -> None:
    percent = f" {job.progress.percent:.0f} %" if job.progress and not job.has_ended else ""
    out.print(f"{job.id} {job.status}{percent}")
    if job.error:
        out.print(f"{job.error.code}: {job.error.detail}", markup=False)
    for warning in job.warnings:
        out.print(f"{warning.code}: {warning.detail}", markup=False)
    for output in job.outputs:
        out.print(f"{output.name}: {output.frames} pictures, {output.bytes} bytes")
    for path in files:
        out.print(str(path), markup=False)
