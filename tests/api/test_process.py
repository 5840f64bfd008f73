"""`python -m api` as it runs: a real server on a real socket."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.servers import Process, free_port, wait_until

# two are promised; less than the ten after which uvicorn would cut connections, on a slow machine
STOP_SECONDS = 8.0


async def test_request_over_the_network(server: tuple[Process, str]) -> None:
    """Submitted, read, and logged under its id; SIGTERM ends the process in order."""
    process, address = server
    async with httpx.AsyncClient(base_url=address) as client:
        accepted = await client.post(URL, files=files(), headers={"X-Request-ID": "shot-12a"})
        assert accepted.status_code == 202, accepted.text
        read = await client.get(accepted.headers["location"])
        assert read.json()["id"] == accepted.json()["id"]
    process.send(signal.SIGTERM)
    # uvicorn shuts down, then ends by the signal that it got
    assert process.wait() in (0, -signal.SIGTERM)
    assert "Application shutdown complete." in process.output
    lines = [json.loads(line) for line in process.output.splitlines()]
    (logged,) = [line for line in lines if line.get("request_id") == "shot-12a"]
    assert (logged["event"], logged["method"], logged["path"], logged["status"]) == (
        "request",
        "POST",
        URL,
        202,
    )


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
        # the answer is lost where the connection breaks off under the sender
        with suppress(httpx.TransportError):
            streamed = await client.post(URL, content=endless(), headers=headers)
            assert problems(streamed, 413, "body_too_large") == {}
        assert (await client.get("/healthz")).status_code == 200


async def test_stop_lets_waiting_clients_go(server: tuple[Process, str]) -> None:
    """Streams end and long polls answer what they have; an update of the gateway takes seconds, not
    minutes.
    """
    process, address = server
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        job_id = (await client.post(URL, files=files())).json()["id"]
        headers = {"Prefer": "wait=60"}
        poll = asyncio.create_task(client.get(f"{URL}/{job_id}", headers=headers))
        submission = asyncio.create_task(client.post(URL, files=files(), headers=headers))
        async with client.stream("GET", f"{URL}/{job_id}/events") as stream:
            lines = stream.aiter_lines()
            begun = [await anext(lines)]
            while "event: status" not in begun[-1]:
                begun.append(await anext(lines))
            assert "retry: 2000" in begun, "a browser comes back by itself when the gateway does"
            await asyncio.sleep(0.5)
            assert not poll.done()
            assert not submission.done()
            process.send(signal.SIGTERM)
            told = time.monotonic()
            assert not [line async for line in lines if line.startswith("event:")]
        assert ((await poll).status_code, (await submission).status_code) == (200, 202)
        process.wait()
        assert time.monotonic() - told < STOP_SECONDS
    assert "Traceback" not in process.output


async def test_stop_lets_a_request_in_flight_end(server: tuple[Process, str]) -> None:
    """One whose body is half there when the gateway is told to stop is read to its end, carried out
    and answered.
    """
    process, address = server
    told = asyncio.Event()
    form = httpx.Request("POST", f"{address}{URL}", files=files())
    data = form.read()

    async def in_two_parts() -> AsyncIterator[bytes]:
        yield data[:100]
        await told.wait()
        yield data[100:]

    headers = {"Content-Type": form.headers["content-type"]}
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        submission = asyncio.create_task(client.post(URL, content=in_two_parts(), headers=headers))
        await asyncio.sleep(0.5)
        process.send(signal.SIGTERM)
        await asyncio.to_thread(
            wait_until, lambda: "Shutting down" in process.output, "it has begun to stop"
        )
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")  # on a connection of its own
        told.set()
        answer = await submission
        assert answer.status_code == 202, answer.text
    process.wait()
    assert "Traceback" not in process.output


async def test_stop_before_the_start_was_complete(settings: Settings, tmp_path: Path) -> None:
    """The operator may stop it while it starts."""
    environment = os.environ | {
        "TOONCRAFTER_REDIS_URL": settings.redis_url or "",
        "TOONCRAFTER_PORT": str(free_port()),
    }
    with Process([sys.executable, "-m", "api"], tmp_path / "gateway.log", environment) as process:
        wait_until(lambda: "Started server process" in process.output, "it begins to start")
        process.send(signal.SIGTERM)
        assert process.wait() in (0, -signal.SIGTERM)
        assert "Traceback" not in process.output
