"""What one tenant may take of the deployment, and what it is told beyond that."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from httpx import AsyncClient

from api.services.remote_images import RemoteImages, open_outbound
from core.outbound.urls import UnreachableUrl
from core.settings import Settings
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway
from testkit.api.uploads import UPLOADS, let_time_pass
from testkit.jobs import png
from testkit.servers import RedisServer
from testkit.web import Visit, http, web_server

MAX_IMAGE = 100_000


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A gateway that gives each tenant little."""
    small = {
        "tenant_max_queued": 2,
        "tenant_max_upload_bytes": 2 * MAX_IMAGE,
        "tenant_max_retention": timedelta(days=1),
        "max_image": MAX_IMAGE,
    }
    async with gateway(settings.model_copy(update=small)) as client:
        yield client


async def test_waiting_jobs(client: AsyncClient, store: WorkerStore) -> None:
    """429 where it is the tenant's own doing; there is room again once one has started."""
    for _ in range(2):
        assert (await client.post(URL, files=files())).status_code == 202
    refused = await client.post(URL, files=files())
    problems(refused, 429, "too_many_jobs")
    assert int(refused.headers["retry-after"]) >= 1
    store.claim("worker-1")
    assert (await client.post(URL, files=files())).status_code == 202


async def test_bytes_of_uploads(
    client: AsyncClient, upkeep: DispatcherStore, redis_server: RedisServer
) -> None:
    """One whose bytes have not come counts as large as it may be; one that vanished counts no
    more.
    """
    first, second = [(await client.post(UPLOADS)).json() for _ in range(2)]
    refused = await client.post(UPLOADS)
    problems(refused, 429, "too_many_uploads")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await client.put(first["upload_url"], content=png())).status_code == 201
    # a few bytes less than it takes are free
    problems(await client.post(UPLOADS), 429, "too_many_uploads")
    let_time_pass(redis_server, second["id"])
    upkeep.sweep_expired()
    assert (await client.post(UPLOADS)).status_code == 201


async def test_retention(client: AsyncClient) -> None:
    """No job is kept for longer than its tenant may, asked for or not."""
    refused = await client.post(URL, data={"request": '{"expires_in": 86401}'}, files=files())
    assert problems(refused, 422, "invalid_request") == {"/expires_in": "out_of_range"}
    job = (await client.post(URL, files=files())).json()
    assert job["expires_at"][:10] > job["created_at"][:10]
    assert job["expires_at"][11:19] == job["created_at"][11:19], "a day later"


async def test_slow_hosts_of_one_tenant_hold_up_no_other(settings: Settings) -> None:
    """It waits for its own turns, within the time that its images have."""
    release = asyncio.Event()

    async def answer(visit: Visit) -> AsyncIterator[bytes]:
        if visit.resource == "/slow.png":
            await release.wait()
        yield http(png())

    async with web_server(answer) as server:
        own = {
            "allowed_hosts": [f"127.0.0.1:{server.port}"],
            "fetch_concurrency": 2,
            "tenant_fetch_concurrency": 1,
        }
        outbound = open_outbound(settings.model_copy(update=own))
        images = RemoteImages(outbound, settings.model_copy(update=own))
        hasty = RemoteImages(
            outbound, settings.model_copy(update=own | {"fetch_timeout": timedelta(seconds=0.05)})
        )
        slow, fast = f"{server.url}/slow.png", f"{server.url}/fast.png"
        held_up = asyncio.create_task(images.fetch([slow, fast], "slow"))
        assert await images.fetch([fast], "other") == {fast: png()}
        assert isinstance((await hasty.fetch([slow], "other"))[slow], UnreachableUrl)
        assert not held_up.done()
        release.set()
        assert await held_up == {slow: png(), fast: png()}
        await outbound.close()
