"""`batch`: many shots, a few at a time; a second run does only what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from tooncrafter_client.cli.manifest import BatchItem, read_batch
from tooncrafter_client.cli.progress import ProgressView
from tooncrafter_client.cli.service import (
    FAILED,
    INTERRUPTED,
    TRY_AGAIN,
    USAGE,
    Service,
    command,
    describe,
    err,
    exit_code,
    out,
    print_json,
)
from tooncrafter_client.cli.shot_options import ShotArguments
from tooncrafter_client.client import Client
from tooncrafter_client.errors import ToonCrafterError
from tooncrafter_client.shots import Shot, build_shot

TICKET = "job.json"


class Ticket(BaseModel):
    """What an earlier run left in a shot's folder.

    The idempotency key is written before the job is submitted: a run that was killed in between
    finds its job again instead of making a second one.
    """

    fingerprint: str
    idempotency_key: str
    job: str | None = None
    status: str = "submitted"
    files: list[str] = []

    def is_done(self, folder: Path) -> bool:
        """Whether all results lie there."""
        return self.status == "succeeded" and all((folder / name).exists() for name in self.files)


@dataclass(frozen=True)
class Outcome:
    """What came of one shot."""

    item: BatchItem
    status: str  # drawn, skipped or failed
    job: str | None = None
    error: ToonCrafterError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return a line of `--json`."""
        error = describe(self.error) if self.error else None
        return {"name": self.item.name, "status": self.status, "job": self.job, "error": error}


@command
def batch(
    source: Annotated[Path, typer.Argument(metavar="MANIFEST.CSV|FOLDER")],
    shot: ShotArguments,
    service: Service,
    out: Annotated[Path, typer.Option(help="Folder for the shots' folders.")] = Path("out"),
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Shots at the same time.")] = 4,
) -> None:
    """Draw many shots. A second run skips what is done and tries the rest again.

    A manifest has a header: `first` and `last`, or `key1`, `key2`, …, perhaps `name`, and a column
    for each option that differs, such as `between` or `prompt`. In a folder, each subfolder is a
    shot, and so are files that differ by a number at the end.
    """
    items = read_batch(source, replace(shot, priority=shot.priority or "batch"))
    with (
        service.client() as client,
        ProgressView(quiet=service.json) as view,
        ThreadPoolExecutor(jobs) as pool,
    ):
        pending = [pool.submit(_draw, client, item, out / item.name, view) for item in items]
        try:
            outcomes = [_told(one.result(), service) for one in pending]
        except KeyboardInterrupt:
            err.print("interrupted; the jobs go on, and a second run finds them")
            os._exit(INTERRUPTED)  # threads that wait for a job would hold up the end
    _summarize(outcomes, service)


def _draw(client: Client, item: BatchItem, folder: Path, view: ProgressView) -> Outcome:
    """Bring one shot to its end, from wherever an earlier run left it."""
    ticket = None
    try:
        shot = build_shot(item.shot.keyframes(item.keys), item.shot.options())
        ticket = _ticket(folder, _fingerprint(shot))
        if ticket.is_done(folder):
            return Outcome(item, "skipped", ticket.job)
        _write(folder, ticket)
        job = client.submit_shot(shot, ticket.idempotency_key)
        ticket.job = job.id
        job = client.wait(job, lambda state: view.show(item.name, state))
        files = client.save(job, folder)
        ticket.files = [str(path.relative_to(folder)) for path in files]
        ticket.status = "succeeded"
        _write(folder, ticket)
    except ToonCrafterError as error:
        if ticket and not error.is_temporary:
            ticket.status = "failed"  # the next run makes another job
            _write(folder, ticket)
        return Outcome(item, "failed", ticket.job if ticket else None, error)
    finally:
        view.end(item.name)
    return Outcome(item, "drawn", ticket.job)


def _ticket(folder: Path, fingerprint: str) -> Ticket:
    """Return what an earlier run left of the same shot, else a new ticket."""
    path = folder / TICKET
    if path.exists():
        ticket = Ticket.model_validate_json(path.read_bytes())
        if ticket.fingerprint == fingerprint and ticket.status != "failed":
            return ticket
    return Ticket(fingerprint=fingerprint, idempotency_key=str(uuid.uuid4()))


def _write(folder: Path, ticket: Ticket) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{TICKET}.part"
    partial.write_text(ticket.model_dump_json(indent=2))
    partial.replace(folder / TICKET)


def _fingerprint(shot: Shot) -> str:
    """Return a digest of everything that the result depends on; files stand in it by digest."""
    return hashlib.sha256(json.dumps(shot.body, sort_keys=True).encode()).hexdigest()


def _told(outcome: Outcome, service: Service) -> Outcome:
    """Say at once what came of a shot."""
    if service.json:
        print_json(outcome.as_json())
    elif outcome.error:
        err.print(f"[red]{outcome.item.name}[/]: {outcome.error.code}: ", end="")
        err.print(str(outcome.error), markup=False)
    return outcome


def _summarize(outcomes: list[Outcome], service: Service) -> None:
    """Say the counts; exit 75 if only temporary errors are left, 1 if others are.

    Raises:
        typer.Exit: a shot has failed.
    """
    counts = {
        status: sum(outcome.status == status for outcome in outcomes)
        for status in ("drawn", "skipped", "failed")
    }
    if not service.json:
        out.print(", ".join(f"{count} {status}" for status, count in counts.items()))
    codes = {exit_code(outcome.error) for outcome in outcomes if outcome.error}
    if codes & {FAILED, USAGE}:
        raise typer.Exit(FAILED)
    if codes:
        raise typer.Exit(TRY_AGAIN)
