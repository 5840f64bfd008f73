"""A caller of a gateway in this process, for code that does not await, and what it may expect of
every job.
"""

import asyncio
import json
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from core.records.job import TRANSITIONS, JobState
from testkit.api.calls import URL
from testkit.api.gateway import BASE_URL

View = dict[str, Any]


class Caller:
    """Its requests run on the loop of a runner, as the gateway does."""

    def __init__(self, runner: asyncio.Runner, app: ASGIApp) -> None:
        self._run = runner.run
        self._app = app
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL)

    def __call__(self, method: str, address: str, **options: Any) -> httpx.Response:
        return self._run(self._client.request(method, address, **options))

    def close(self) -> None:
        self._run(self._client.aclose())

    def first_event(self, job_id: str) -> View:
        """What a stream of events begins with; the stream is then left, as a page that is closed
        leaves it.
        """
        return self._run(self._first_event(f"{URL}/{job_id}/events"))

    async def _first_event(self, path: str) -> View:
        received, enough = b"", asyncio.Event()

        async def receive() -> Message:
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal received
            received += message.get("body", b"")
            if b"\ndata: " in received and received.endswith(b"\n\n"):
                enough.set()

        address = httpx.URL(BASE_URL).join(path)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
            "method": "GET",
            "root_path": "",
        }
        scope |= {
            "scheme": address.scheme,
            "path": path,
            "raw_path": address.raw_path,
            "query_string": b"",
        }
        scope |= {"headers": [(b"host", address.netloc)], "client": None, "server": None}
        async with asyncio.timeout(10):
            await self._app(scope, receive, send)
        data = received.partition(b"\ndata: ")[2].partition(b"\n")[0]
        return json.loads(data)


def stable(job: View) -> View:
    """A job without the links to its results, which are made fresh at each read."""
    fresh = ("url", "url_expires_at")
    outputs = [
        {name: value for name, value in output.items() if name not in fresh}
        for output in job["outputs"]
    ]
    return job | {"outputs": outputs}


def as_listed(job: View) -> View:
    """A job as lists have it, without the drawings of its plan."""
    plan = {name: value for name, value in job["plan"].items() if name != "drawings"}
    return job | {"plan": plan}


def follows(before: View, after: View) -> None:
    """Only allowed transitions; every change raises the version; an ended job never changes."""
    if after["status"] != before["status"]:
        assert after["status"] in TRANSITIONS[JobState(before["status"])]
    own_changes = [
        name for name in after if name != "queue_position" and after[name] != before[name]
    ]
    assert (after["version"] > before["version"]) == bool(own_changes), own_changes
    if JobState(before["status"]).is_final:
        assert after == before


def is_consistent(job: View) -> None:
    """The fields of one answer agree with its status."""
    status = job["status"]
    assert (job["queue_position"] is not None) == (status == "queued")
    assert (job["finished_at"] is not None) == JobState(status).is_final
    assert bool(job["outputs"]) == (status == "succeeded")
    assert (job["error"] is not None) == (status == "failed")
    assert status in ("running", "succeeded", "failed", "canceled") or (
        job["started_at"],
        job["progress"],
    ) == (
        None,
        None,
    )
    assert job["attempts"] >= 1 or status in ("queued", "canceled")
