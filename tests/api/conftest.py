"""A gateway in this process: the whole app with its lifespan, called past the network."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from api.main import create_app
from api.services import image_inspection
from core.settings import Settings
from testkit.api.gateway import BASE_URL, bearer, gateway, gateway_process, make_key, running_app
from testkit.images.decoders import lasting_decoders
from testkit.servers import Process, RedisServer


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The contract as the gateway describes it."""
    return create_app(Settings()).openapi()


@pytest.fixture(autouse=True)
def shared_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in this process finds decoders that run, as after its first image."""
    monkeypatch.setattr(image_inspection, "Decoders", lasting_decoders)


@pytest.fixture
async def tenants(settings: Settings) -> AsyncIterator[tuple[AsyncClient, AsyncClient]]:
    """Callers of two tenants at one gateway."""
    async with running_app(settings) as app, AsyncExitStack() as clients:

        async def client_of(tenant: str) -> AsyncClient:
            transport = ASGITransport(app, raise_app_exceptions=False)
            client = AsyncClient(
                transport=transport, base_url=BASE_URL, headers=bearer(make_key(settings, tenant))
            )
            return await clients.enter_async_context(client)

        yield await client_of("studio-a"), await client_of("studio-b")


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AsyncClient]:
    async with gateway(settings) as client:
        yield client


@pytest.fixture
async def public(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A gateway that others reach."""
    async with gateway(settings.model_copy(update={"host": "0.0.0.0"})) as client:
        yield client


@pytest.fixture
async def any_client(any_settings: Settings) -> AsyncIterator[AsyncClient]:
    """Once with a folder, once with a bucket."""
    async with gateway(any_settings) as client:
        yield client


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """The process and its address; a body may have 100,000 bytes."""
    small = Settings(**settings.model_dump(exclude={"max_body"}), max_body=100_000)
    with gateway_process(small, tmp_path / "gateway.log") as running:
        yield running


@pytest.fixture(scope="module")
def lasting_server(
    _session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one gateway for all tests of a file, none of which stops it.

    Redis is emptied between the tests, as for any other test.
    """
    folder = tmp_path_factory.mktemp("gateway")
    settings = Settings(_env_file=None, redis_url=_session_redis.url, state_dir=folder / "state")
    with gateway_process(settings, folder / "gateway.log") as (_, address):
        yield address


@pytest.fixture
def nothing_left(
    redis_server: RedisServer, stored_keys: Callable[[], set[str]]
) -> Callable[[], None]:
    """A refused request leaves no trace."""

    def check() -> None:
        assert redis_server.client.keys() == []
        assert stored_keys() == set()

    return check
