"""Addresses behind a proxy that serves the gateway below a path of its own."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway
from testkit.api.jobs import queued

PUBLIC = "https://toon.example/api"


@pytest.fixture
async def behind_proxy(settings: Settings) -> AsyncIterator[AsyncClient]:
    public = Settings(**settings.model_dump(exclude={"public_url"}), public_url=f"{PUBLIC}/")
    async with gateway(public) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/queue/"),
        ("POST", "/v1/interpolations/"),
        ("GET", "/v1/models/"),
        ("GET", "/healthz/"),
        ("GET", "/docs/"),
    ],
)
async def test_final_slash_is_another_address(
    behind_proxy: AsyncClient, method: str, path: str
) -> None:
    """A redirect would name plain http without the proxy's path, and a POST would follow it."""
    answer = await behind_proxy.request(method, path, files=files() if method == "POST" else None)
    assert problems(answer, 404, "not_found") == {}
    assert "location" not in answer.headers


async def test_location_of_a_job(behind_proxy: AsyncClient) -> None:
    accepted = await behind_proxy.post(URL, files=files())
    assert accepted.headers["location"] == f"{PUBLIC}{URL}/{accepted.json()['id']}"


async def test_next_page(behind_proxy: AsyncClient) -> None:
    for _ in range(2):
        await queued(behind_proxy)
    page = await behind_proxy.get(URL, params={"limit": 1})
    assert page.headers["link"].startswith(f"<{PUBLIC}{URL}?")


async def test_upload_and_contract_name_the_same_server(behind_proxy: AsyncClient) -> None:
    upload = (await behind_proxy.post("/v1/uploads")).json()
    assert upload["upload_url"].startswith(f"{PUBLIC}/files/")
    assert (await behind_proxy.get("/openapi.json")).json()["servers"] == [{"url": PUBLIC}]


async def test_without_public_url_the_contract_names_its_own_server(client: AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/"}]
