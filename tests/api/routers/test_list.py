"""Jobs in pages, the newest first."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient
from ulid import ULID

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
    """As each of them is read by itself, the place in the queue included; only the drawings of its
    plan are left out.
    """
    job_ids = [(await client.post(URL, files=files())).json()["id"] for _ in range(2)]
    listed = {job["id"]: job for job in (await client.get(URL)).json()["data"]}
    for job_id in job_ids:
        job = (await client.get(f"{URL}/{job_id}")).json()
        assert len(job["plan"].pop("drawings")) == 16
        assert job == listed[job_id]


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


class TestCreated:
    """Between two times, as the jobs show them."""

    @pytest.fixture
    async def jobs(self, client: AsyncClient) -> list[dict[str, str]]:
        """Five, the oldest first, each in a millisecond of its own."""
        for _ in range(5):
            await queued(client)
            await asyncio.sleep(0.01)
        return list(reversed((await client.get(URL)).json()["data"]))

    async def test_after_and_before(self, client: AsyncClient, jobs: list[dict[str, str]]) -> None:
        """Both ends are left out."""
        ids, times = [job["id"] for job in jobs], [job["created_at"] for job in jobs]
        assert await ids_of(client, created_after=times[2]) == ids[:2:-1]
        assert await ids_of(client, created_before=times[2]) == ids[1::-1]
        assert await ids_of(client, created_after=times[0], created_before=times[3]) == ids[2:0:-1]
        assert await ids_of(client, created_after=times[4]) == []
        assert await ids_of(client, created_before=times[0]) == []

    async def test_in_pages_and_by_status(
        self, client: AsyncClient, jobs: list[dict[str, str]]
    ) -> None:
        """`next_cursor` goes on within the times."""
        between = {"created_after": jobs[0]["created_at"], "created_before": jobs[4]["created_at"]}
        page = (await client.get(URL, params={**between, "limit": 2, "status": "queued"})).json()
        assert [job["id"] for job in page["data"]] == [jobs[3]["id"], jobs[2]["id"]]
        rest = await client.get(URL, params={**between, "limit": 2, "cursor": page["next_cursor"]})
        assert [job["id"] for job in rest.json()["data"]] == [jobs[1]["id"]]
        assert rest.json()["next_cursor"] is None

    async def test_id_that_is_older_than_its_job(
        self, client: AsyncClient, async_store: TenantJobs
    ) -> None:
        """Images were stored for minutes after the id was made; the job's own time counts."""
        made = datetime.now(UTC) - timedelta(minutes=9)
        job_id = f"itp_{ULID.from_datetime(made)}"
        await async_store.submit(job_id, generation_request(), metadata={}, ttl=TTL, request_id="")
        since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        assert await ids_of(client, created_after=since) == [job_id]
        assert await ids_of(client, created_before=since) == []

    @pytest.mark.parametrize(
        "value", ["yesterday", "0.5", "1700000000", "2026-11-02T09:30:00", "2026-13-02T09:30:00Z"]
    )
    async def test_what_is_no_time(self, client: AsyncClient, value: str) -> None:
        """A time without its zone is none: it would be another one elsewhere."""
        refused = await client.get(URL, params={"created_after": value})
        assert problems(refused, 422, "invalid_request").keys() == {"/created_after"}
        assert "2026-11-02T09:30:00Z" in refused.json()["errors"][0]["detail"]
