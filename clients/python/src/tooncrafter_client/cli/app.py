"""The command `tooncrafter`."""

from __future__ import annotations

from typing import Annotated

import typer

from tooncrafter_client._version import __version__
from tooncrafter_client.cli.batch import batch
from tooncrafter_client.cli.doctor import doctor
from tooncrafter_client.cli.jobs import cancel, get, ls, submit, watch
from tooncrafter_client.cli.render import render
from tooncrafter_client.cli.run import run
from tooncrafter_client.cli.service import out

app = typer.Typer(
    name="tooncrafter",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # an error of ours is a plain traceback, fit for a report
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, render, batch, submit, watch, get, cancel, ls, doctor):
    app.command(command.__name__)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"tooncrafter-client {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And end.")
    ] = False,
) -> None:
    """Draw what lies between keyframes, with a ToonCrafter service.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 75 try again later, 130 interrupted.
    """


def main() -> None:
    """Run the command line."""
    app()
