"""HEAD on every GET route: the head of GET's response, and nothing else."""

import asyncio
from typing import Any

import httpx
import pytest
from httpx import AsyncClient

from core.objects.storage import open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from core.telemetry.metrics import REQUESTS
from testkit.api.calls import URL, problems
from testkit.api.jobs import VIDEO, finished_job, queued
from testkit.servers import Process

VOLATILE = {"x-request-id", "date"}


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json", "/openapi.yaml",
     "/errors/not_found", URL, "/v1/models", "/v1/queue"],
)  # fmt: skip
async def test_same_head_as_get(client: AsyncClient, path: str) -> None:
    head, get = await client.head(path), await client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert get.content
    assert {name: value for name, value in head.headers.items() if name not in VOLATILE} == {
        name: value for name, value in get.headers.items() if name not in VOLATILE
    }


async def test_job_with_its_events_and_output(
    client: AsyncClient, settings: Settings, store: WorkerStore
) -> None:
    """An event stream would last until the job ends; its head comes at once."""
    waiting = await queued(client)
    events = await asyncio.wait_for(client.head(f"{URL}/{waiting}/events"), 10)
    assert events.headers["content-type"].startswith("text/event-stream")
    await client.post(f"{URL}/{waiting}/cancel")
    job_id = await finished_job(client, open_storage(settings), store)
    for path in (f"{URL}/{job_id}", f"{URL}/{job_id}/deliveries"):
        head = await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
    film = await client.head(f"{URL}/{job_id}/outputs/video.mp4")
    assert (film.headers["content-length"], film.content) == (str(len(VIDEO)), b"")


async def test_refusals_have_heads_as_well(client: AsyncClient, document: dict[str, Any]) -> None:
    missing = await client.head("/nowhere")
    assert (missing.status_code, missing.content) == (404, b"")
    posted = await client.head("/v1/uploads")
    assert (posted.status_code, posted.headers["allow"]) == (405, "POST")
    allowed = await client.put(URL)
    problems(allowed, 405, "method_not_allowed")
    assert allowed.headers["allow"] == "GET, HEAD, POST"


async def test_counted_by_its_route(client: AsyncClient) -> None:
    def counted() -> float:
        (metric,) = REQUESTS.collect()
        labels = {"method": "HEAD", "route": "/healthz", "status": "200"}
        found = [
            sample.value
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.labels == labels
        ]
        return sum(found)

    before = counted()
    await client.head("/healthz")
    assert counted() == before + 1


async def test_over_the_network(server: tuple[Process, str]) -> None:
    """Two on one connection: the second is read where the first has ended."""
    async with httpx.AsyncClient(base_url=server[1]) as client:
        for path in ("/healthz", "/docs", "/v1/queue"):
            assert (await client.head(path)).status_code == 200
            assert (await client.get("/healthz")).json() == {"status": "alive"}
