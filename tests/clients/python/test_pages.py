"""What the pages tell a caller to type exists."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from testkit.servers import ROOT
from tooncrafter_client.cli.app import app

MOVING = ROOT / "docs" / "clients.md"
PAGES = (ROOT / "clients" / "python" / "README.md", MOVING)
# command to its options, `--no-…` included
COMMANDS = {
    name: {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    typed = re.findall(r"^tooncrafter (\w+)(.*)$", page.read_text(), re.MULTILINE)
    assert typed
    for name, rest in typed:
        if name.islower():
            assert set(re.findall(r"--[a-z-]+", rest.partition("#")[0])) <= COMMANDS[name]


def test_every_option_that_replaces_another_exists() -> None:
    """The last cell of a row is what to type here."""
    rows = [line.strip("| ").split("|")[-1] for line in MOVING.read_text().splitlines()]
    for row in rows:
        assert set(re.findall(r"--[a-z][a-z-]+", row)) <= COMMANDS["run"], row
