"""The compose file, parsed."""

import json
from typing import Any

import pytest

from testkit.compose import SECRETS, compose


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """Every service as compose understands it."""
    secrets = dict.fromkeys(SECRETS, "example")
    shown = compose(
        "--profile", "*", "config", "--format", "json", "--no-env-resolution", **secrets
    )
    assert shown.returncode == 0, shown.stderr
    found: dict[str, dict[str, Any]] = json.loads(shown.stdout)["services"]
    return found
