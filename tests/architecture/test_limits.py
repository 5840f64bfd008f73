"""How large a room and a file may be, so that a reader can hold each in mind."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from testkit.servers import ROOT

FOLDERS = (
    *("admin", "api", "clients", "core", "dispatcher", "model", "worker"),
    *("benchmarks", "scripts", "testkit", "tests"),
)
MOST_FILES = 14  # of a folder, `__init__.py` apart
MOST_LINES = 300  # of a file
MOST_COLUMNS = 100
CODE = (".py", ".lua", ".js", ".css")
# not read as code: goldens, images, files of others
DATA = ("tests/data/", "api/static/", "api/studio/vendor/")

LONG_YET = {  # to be split; nothing is added here
    "core/telemetry/metrics.py",
}


def files() -> list[Path]:
    """All files of these folders that git tracks or would track, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [Path(name) for name in listed if not name.startswith(DATA) and (ROOT / name).exists()]


FILES = files()
SOURCES = [path for path in FILES if path.suffix in CODE]


def test_no_folder_has_too_many_files() -> None:
    """`model/` apart: its parts are one network."""
    rooms = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert rooms
    crowded = {str(room): count for room, count in rooms.items() if count > MOST_FILES}
    assert crowded.keys() <= {"model"}


def test_no_file_is_too_long() -> None:
    """A longer one knows more than one thing."""
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in SOURCES}
    long = {path: count for path, count in lengths.items() if count > MOST_LINES}
    assert long.keys() <= LONG_YET, long


@pytest.mark.parametrize("suffix", CODE[1:])
def test_no_line_is_too_wide(suffix: str) -> None:
    """In Python, ruff sees to it."""
    wide = {
        f"{path}:{number}"
        for path in SOURCES
        if path.suffix == suffix
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if len(line) > MOST_COLUMNS
    }
    assert wide == set()
