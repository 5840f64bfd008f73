"""`python -m api` as it runs: a real server on a real socket."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from tests.api.conftest import files, problems
from tests.api.test_submit import URL
from tests.servers import Process, free_port, wait_until


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """The process and its address."""
    port = free_port()
    environment = os.environ | {
        "TOONCRAFTER_REDIS_URL": settings.redis_url or "",
        "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
        "TOONCRAFTER_PORT": str(port),
        "TOONCRAFTER_MAX_BODY": "100000",
    }
    with Process([sys.executable, "-m", "api"], tmp_path / "gateway.log", environment) as process:
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            with suppress(httpx.ConnectError):
                return httpx.get(f"{address}/readyz").is_success
            return False

        wait_until(answers, "the gateway is ready")
        yield process, address


async def test_request_over_the_network(server: tuple[Process, str]) -> None:
    """Submitted, read, and logged under its id; SIGTERM ends the process in order."""
    process, address = server
    async with httpx.AsyncClient(base_url=address) as client:
        accepted = await client.post(URL, files=files(), headers={"X-Request-ID": "shot-12a"})
        assert accepted.status_code == 202, accepted.text
        read = await client.get(accepted.headers["location"])
        assert read.json()["id"] == accepted.json()["id"]
    process.send(signal.SIGTERM)
    assert process.wait() in (0, -signal.SIGTERM)  # uvicorn shuts down, then ends by the signal that it got
    assert "Application shutdown complete." in process.output
    lines = [json.loads(line) for line in process.output.splitlines()]
    (logged,) = [line for line in lines if line.get("request_id") == "shot-12a"]
    assert (logged["event"], logged["method"], logged["path"], logged["status"]) == ("request", "POST", URL, 202)


async def test_body_over_the_limit_is_cut(server: tuple[Process, str]) -> None:
    """With and without an announced length; the connection may end before all was sent."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    _, address = server
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=address) as client:
        announced = await client.post(URL, content=b"x" * 100_001, headers=headers)
        assert problems(announced, 413, "body_too_large") == {}
        with suppress(httpx.TransportError):  # the answer is lost where the connection breaks off under the sender
            streamed = await client.post(URL, content=endless(), headers=headers)
            assert problems(streamed, 413, "body_too_large") == {}
        assert (await client.get("/healthz")).status_code == 200
