"""Jobs in pages, the newest first."""

from datetime import timedelta

import pytest
from httpx import AsyncClient

from core.records.ids import new_job_id
from core.records.job import Timing
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import BASE_URL, gateway
from testkit.api.jobs import claimed, queued
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.store.tenant_jobs import TenantJobs

TTL = timedelta(hours=1)


async def submit(store: TenantJobs, count: int) -> list[str]:
    """Ids in the order in which they sort, the newest first."""
    ids = [new_job_id() for _ in range(count)]
    for job_id in ids:
        await store.submit(job_id, generation_request(), metadata={}, ttl=TTL, request_id="")
    return sorted(ids, reverse=True)


async def ids_of(client: AsyncClient, **parameters: str | int) -> list[str]:
    response = await client.get(URL, params=parameters)
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()["data"]]


async def test_nothing_yet(client: AsyncClient) -> None:
    """An empty page, and no other one."""
    response = await client.get(URL)
    assert response.json() == {"data": [], "next_cursor": None}
    assert "link" not in response.headers


async def test_newest_first(client: AsyncClient, async_store: TenantJobs) -> None:
    """Twenty of them, where nothing else is asked."""
    ids = await submit(async_store, 25)
    assert await ids_of(client) == ids[:20]
    assert await ids_of(client, limit=100) == ids


async def test_entries_are_whole_jobs(client: AsyncClient) -> None:
    """As each of them is read by itself, the place in the queue included."""
    job_ids = [(await client.post(URL, files=files())).json()["id"] for _ in range(2)]
    listed = {job["id"]: job for job in (await client.get(URL)).json()["data"]}
    for job_id in job_ids:
        assert (await client.get(f"{URL}/{job_id}")).json() == listed[job_id]


async def test_by_status(client: AsyncClient, store: WorkerStore) -> None:
    """Each job stands under the status that it has now."""
    await queued(client)
    running = claimed(store).job.id
    await queued(client)
    done = claimed(store)
    store.succeed(done, [stored_output()], Timing(), MODEL)
    canceled, waits = await queued(client), await queued(client)
    await client.post(f"{URL}/{canceled}/cancel")
    by_status = {
        "queued": waits,
        "running": running,
        "succeeded": done.job.id,
        "canceled": canceled,
    }
    for status, job_id in by_status.items():
        assert await ids_of(client, status=status) == [job_id]
    assert await ids_of(client, status="failed") == []


@pytest.mark.parametrize("status", [None, "queued"])
async def test_pages_without_gap_or_repeat_while_jobs_are_added(
    client: AsyncClient, async_store: TenantJobs, status: str | None
) -> None:
    """A cursor is a place among the jobs, not a number of them."""
    ids = await submit(async_store, 10)
    seen: list[str] = []
    parameters: dict[str, str | int] = {"limit": 3} | ({"status": status} if status else {})
    while True:
        page = (await client.get(URL, params=parameters)).json()
        seen += [job["id"] for job in page["data"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
        await submit(async_store, 2)
    assert seen == ids


async def test_cursor_of_a_deleted_job_still_leads_on(
    client: AsyncClient, async_store: TenantJobs
) -> None:
    """Between two pages anything may happen."""
    newest, middle, oldest = await submit(async_store, 3)
    page = (await client.get(URL, params={"limit": 2})).json()
    assert [job["id"] for job in page["data"]] == [newest, middle]
    await async_store.cancel(middle)
    await async_store.delete(middle)
    assert await ids_of(client, cursor=page["next_cursor"]) == [oldest]


async def test_link_to_the_next_page(client: AsyncClient, async_store: TenantJobs) -> None:
    """It carries everything that was asked (RFC 8288), and ends with the last page."""
    ids = await submit(async_store, 5)
    response = await client.get(URL, params={"limit": 3, "status": "queued"})
    link = response.links["next"]["url"]
    assert link.startswith(f"{BASE_URL}{URL}?")
    following = await client.get(link)
    assert [job["id"] for job in following.json()["data"]] == ids[3:]
    assert following.links == {}


async def test_link_is_built_on_the_public_url(settings: Settings, async_store: TenantJobs) -> None:
    """Behind a proxy the gateway's own address means nothing to callers."""
    await submit(async_store, 2)
    public = Settings(
        **settings.model_dump(exclude={"public_url"}), public_url="https://toon.example/api/"
    )
    async with gateway(public) as client:
        response = await client.get(URL, params={"limit": 1})
    assert response.links["next"]["url"].startswith(f"https://toon.example/api{URL}?")


async def test_full_last_page_leads_nowhere(client: AsyncClient, async_store: TenantJobs) -> None:
    """Else a client would ask for an empty one."""
    await submit(async_store, 4)
    page = (await client.get(URL, params={"limit": 4})).json()
    assert (len(page["data"]), page["next_cursor"]) == (4, None)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("limit", "0", "out_of_range"),
        ("limit", "101", "out_of_range"),
        ("limit", "many", "wrong_type"),
        ("status", "done", "invalid_value"),
        ("cursor", "itp_1", "invalid_value"),
        ("cursor", "+", "invalid_value"),
    ],
)
async def test_wrong_question(client: AsyncClient, name: str, value: str, code: str) -> None:
    """Refused with the name of what is wrong."""
    response = await client.get(URL, params={name: value})
    assert problems(response, 422, "invalid_request") == {f"/{name}": code}
