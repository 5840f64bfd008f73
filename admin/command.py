"""Register admin commands, parse a tenant's name and print a result as text."""

import argparse
import re
from collections.abc import Callable
from typing import Any

from core.records.tenant import DEFAULT_TENANT, TENANT_PATTERN

Options = argparse.Namespace
Result = dict[str, Any] | list[dict[str, Any]]
Run = Callable[[str, Options], Result]  # takes the Redis URL and the parsed arguments


class AdminError(Exception):
    """The command failed; the message says why and what to do instead."""


def add_command(
    commands: Any, name: str, run: Run, purpose: str, as_text: Callable[[Any], str] | None = None
) -> argparse.ArgumentParser:
    """Add a command that calls `run` and prints its result as text, or with --json as JSON."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run, as_text=as_text or result_as_text)
    return command


def add_group(commands: Any, name: str, purpose: str) -> Any:
    """Add a command with subcommands and return the object to which they are added."""
    group = commands.add_parser(name, help=purpose, description=purpose)
    return group.add_subparsers(required=True, metavar="COMMAND")


def add_tenant(command: argparse.ArgumentParser, default: str | None = DEFAULT_TENANT) -> None:
    """Add --tenant; a default of None means all tenants."""
    usual = "all tenants" if default is None else f"`{default}`"
    command.add_argument("--tenant", type=tenant_name, default=default, help=f"default: {usual}")


def tenant_name(text: str) -> str:
    """Check a tenant's name, for use as an argparse `type`."""
    if not re.fullmatch(TENANT_PATTERN, text):
        raise argparse.ArgumentTypeError(
            "a tenant's name has 1 to 63 of a-z, 0-9, _ and -, the first a letter or digit; "
            f"got {text!r}"
        )
    return text


def result_as_text(result: Result) -> str:
    """Format one line per entry of a list, or per member of an object."""
    if isinstance(result, list):
        entries = ("  ".join(f"{name}={_value(entry[name])}" for name in entry) for entry in result)
        return "\n".join(entries) or "none"
    lines = [f"{name}: {_value(value)}" for name, value in result.items()]
    if {"key", "secret"} & result.keys():
        lines.append("This is shown only once.")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{name}={entry}" for name, entry in value.items()]
    if isinstance(value, list):
        return ",".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
