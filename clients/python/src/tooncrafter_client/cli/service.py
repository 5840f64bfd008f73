"""What every command has: the service, how results are said, and what an exit code means."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console

from tooncrafter_client.cli.option_groups import with_option_groups
from tooncrafter_client.client import Client
from tooncrafter_client.errors import (
    ApiError,
    BadInput,
    Forbidden,
    InvalidRequest,
    NotFound,
    ToonCrafterError,
    Unauthorized,
)

FAILED = 1
USAGE = 2
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
INTERRUPTED = 130  # as shells have it for Ctrl-C
CALLER_ERRORS = (BadInput, InvalidRequest, Unauthorized, Forbidden, NotFound)
CALLER_CODES = ("invalid_request",)  # of a renderer, whose classes are not known here
PANEL = "Service and output"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Output:
    """How a command answers."""

    json: Annotated[
        bool,
        typer.Option("--json", help="Answer in JSON, one object a line.", rich_help_panel=PANEL),
    ] = False

    def tell(self, text: str, **fields: Any) -> None:
        """Say a result: as text, or its fields as a line of JSON."""
        if self.json:
            print_json(fields)
        else:
            out.print(text, markup=False)


@dataclass(frozen=True)
class Service(Output):
    """Where the service is, and how to answer."""

    url: Annotated[
        str | None,
        typer.Option(
            envvar="TOONCRAFTER_URL",
            help="Address of the service. [default: http://127.0.0.1:8000]",
            rich_help_panel=PANEL,
        ),
    ] = None
    key: Annotated[
        str | None,
        typer.Option(envvar="TOONCRAFTER_KEY", help="API key.", rich_help_panel=PANEL),
    ] = None
    patience: Annotated[
        float,
        typer.Option(
            help="Seconds to try again while the service is away or busy.", rich_help_panel=PANEL
        ),
    ] = 120.0

    def client(self) -> Client:
        """Return a client, to be closed by the caller."""
        return Client(self.url, self.key, patience_seconds=self.patience)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function that takes a `Service` a command whose errors become exit codes."""
    grouped = with_option_groups(function)

    @functools.wraps(grouped)
    def call(**arguments: Any) -> None:
        try:
            grouped(**arguments)
        except ToonCrafterError as error:
            report(error, as_json=arguments.get("json", False))
            raise typer.Exit(exit_code(error)) from error

    return call


def exit_code(error: ToonCrafterError) -> int:
    """Return 75 where the same command may succeed later, 2 for the caller's errors, else 1."""
    if error.is_temporary:
        return TRY_AGAIN
    is_callers = isinstance(error, CALLER_ERRORS) or error.code in CALLER_CODES
    return USAGE if is_callers else FAILED


def report(error: ToonCrafterError, *, as_json: bool) -> None:
    """Say an error to people on stderr, or to programs on stdout."""
    if as_json:
        print_json({"error": describe(error)})
    else:
        err.print(f"[red]{error.code}[/]: ", end="")
        err.print(str(error), markup=False)


def describe(error: ToonCrafterError) -> dict[str, Any]:
    """Return an error as JSON has it."""
    described: dict[str, Any] = {"code": error.code, "detail": str(error)}
    if isinstance(error, ApiError):
        described |= {"detail": error.detail, "request_id": error.request_id}
        described["errors"] = [vars(problem) for problem in error.errors]
    return described


def print_json(value: Any) -> None:
    """Print one line that another program reads."""
    print(json.dumps(value, default=_plain, ensure_ascii=False), flush=True)  # noqa: T201


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
