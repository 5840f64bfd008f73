"""Show how far jobs are: bars at a terminal, a line per change of state elsewhere."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from typing_extensions import Self

from tooncrafter_client.cli.service import err
from tooncrafter_client.models import Job


class ProgressView:
    """A bar for each job. Usable from several threads."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[says]}", style="dim"),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, name: str, job: Job) -> None:
        """Show a job's state under a name."""
        percent = 100.0 if job.status == "succeeded" else 0.0
        if job.progress and not job.has_ended:
            percent = job.progress.percent
        self.advance(name, percent, _state(job), step=job.status)

    def advance(self, name: str, percent: float, words: str, *, step: str) -> None:
        """Show how far something is.

        Args:
            name: of the bar.
            percent: 0 to 100.
            words: what is being done.
            step: where there is no terminal, a line is written for each other step.
        """
        if self._bars.disable:
            if not self._quiet and self._said.get(name) != step:
                self._said[name] = step
                err.print(f"{name}: {words}", markup=False)
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=100, says="")
        self._bars.update(self._tasks[name], completed=percent, says=words)

    def end(self, name: str) -> None:
        """Take a job's bar away."""
        if (task := self._tasks.pop(name, None)) is not None:
            self._bars.remove_task(task)


def _state(job: Job) -> str:
    """Return what a job does, in a few words."""
    if job.status == "queued" and job.queue_position is not None:
        return f"queued, {job.queue_position} before it"
    if job.status == "running" and job.progress:
        left = job.progress.eta_seconds
        return job.progress.stage + (f", {left:.0f} s left" if left is not None else "")
    return job.status
