"""docs/contract.md names a test for each promise of the contract; this one looks whether both are
there.
"""

import re
from typing import Any

import pytest
import yaml

from api.errors import all_errors
from api.schemas.interpolation import InterpolationBody
from core.errors import JobFailed
from testkit.servers import ROOT
from testkit.suite.named_tests import find, is_test

PAGE = (ROOT / "docs" / "contract.md").read_text()
HEADINGS = ["what", "promise", "test"]


def rows() -> list[list[str]]:
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in PAGE.splitlines()
        if line.startswith("|")
    ]
    return [row for row in cells if row != HEADINGS and set(row) != {"---"}]


def named() -> set[str]:
    """All that stands in the first column as code."""
    return {name for row in rows() for name in re.findall(r"`([^`]+)`", row[0])}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_promise_names_tests_that_exist(row: list[str]) -> None:
    """Files, classes or functions that pytest runs."""
    assert len(row) == len(HEADINGS)
    tests = re.findall(r"`([^`]+)`", row[2])
    assert tests
    for name in tests:
        node = find(name)
        assert node is not None, f"tests/{name} is not there"
        assert is_test(node), f"tests/{name} is no test and holds none"


def test_every_call_is_there() -> None:
    """A new operation needs a row."""
    paths: dict[str, Any] = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    assert named() >= {
        f"{method.upper()} {path}" for path, item in paths.items() for method in item
    }


def test_every_field_of_a_request_is_there() -> None:
    """A new field too."""
    assert named() >= InterpolationBody.model_fields.keys()


def test_every_error_is_there() -> None:
    """Those of requests, and those that end jobs."""
    assert named() >= {kind.code for kind in (*all_errors(), *JobFailed.__subclasses__())} - {
        JobFailed.code
    }
