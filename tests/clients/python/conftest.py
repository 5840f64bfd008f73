"""Answers of a service, and flows that are driven by hand: no network, no sleep."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tooncrafter_client.calls import Calls

JOB = {
    "id": "itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W",
    "object": "interpolation",
    "version": 3,
    "status": "running",
    "created_at": "2026-11-02T09:30:00Z",
    "expires_at": "2026-11-09T09:30:00Z",
}


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """A job as the service answers it, with these fields changed."""
    return lambda **fields: JOB | fields


@pytest.fixture
def answer() -> Callable[..., httpx.Response]:
    """An answer; a dictionary becomes its JSON body."""

    def make(status: int = 200, body: Any = b"", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, content=content, headers=names)

    return make


@pytest.fixture
def calls() -> Calls:
    return Calls("http://service", "tc_key", patience_seconds=60)
