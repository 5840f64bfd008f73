"""docs/security.md promises a test for each of its guards; this one looks whether it is there."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from testkit.suite.named_tests import TESTS, find, is_test

DOCUMENT = TESTS.parent / "docs" / "security.md"
HEADINGS = ["asset", "attacker and way in", "guard", "test"]


class Row(NamedTuple):
    """One threat."""

    line: int
    cells: list[str]

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.cells[3])


def rows() -> list[Row]:
    """The threats of all tables with the model's headings."""
    return list(_rows())


def _rows() -> Iterator[Row]:
    inside = False
    for number, line in enumerate(DOCUMENT.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells == HEADINGS:
            inside = True
        elif not cells:
            inside = False
        elif inside and set(cells) != {"---"}:
            yield Row(number, cells)


def test_the_tables_are_read() -> None:
    """A heading that somebody renamed would take its rows out of these tests."""
    tables = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| asset")]
    assert tables == ["| " + " | ".join(HEADINGS) + " |"] * len(tables)
    assert len(tables) >= 5
    assert len(rows()) >= 40


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"line {row.line}")
def test_every_threat_has_a_guard_and_a_test_that_exists(row: Row) -> None:
    """A guard that no test looks at is a guard until somebody changes it."""
    assert len(row.cells) == len(HEADINGS)
    assert all(row.cells)
    assert row.tests, "no test is named"
    for name in row.tests:
        node = find(name)
        assert node is not None, f"tests/{name} is not there"
        assert is_test(node), f"tests/{name} is no test and holds none"
