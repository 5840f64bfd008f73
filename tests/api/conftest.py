"""A gateway in this process: the whole app with its lifespan, called past the network."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.main import create_app
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys
from testkit.jobs import png
from testkit.servers import Process, RedisServer, free_port, wait_until

BASE_URL = "http://localhost"


@asynccontextmanager
async def running_app(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The app of a gateway that runs with these settings, to be called as a server would."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app(
                {**scope, "state": {**scope.get("state", {}), **(state or {})}}, receive, send
            )

        yield with_state


def make_key(settings: Settings, tenant: str, **options: Any) -> str:
    """What `python -m admin.keys create` prints."""
    with closing(ApiKeys(settings.find_redis())) as keys:
        return keys.create(tenant, **options).key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


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


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client of such a gateway. Errors of the app become its answers, as in production."""
    async with running_app(settings) as app:
        transport = ASGITransport(app, raise_app_exceptions=False)
        async with AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield client


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AsyncClient]:
    async with gateway(settings) as client:
        yield client


@pytest.fixture
async def any_client(any_settings: Settings) -> AsyncIterator[AsyncClient]:
    """Once with a folder, once with a bucket."""
    async with gateway(any_settings) as client:
        yield client


@contextmanager
def gateway_process(settings: Settings, log: Path, **more: object) -> Iterator[tuple[Process, str]]:
    """`python -m api` as it runs, and its address: for what only a real socket shows. `more`:
    further settings.
    """
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TOONCRAFTER_")
    } | {
        "TOONCRAFTER_REDIS_URL": settings.redis_url or "",
        "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
        "TOONCRAFTER_PORT": str(port),
        "TOONCRAFTER_MAX_BODY": str(int(settings.max_body)),
        **{f"TOONCRAFTER_{name.upper()}": str(value) for name, value in more.items()},
    }
    with Process([sys.executable, "-m", "api"], log, environment) as process:
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            with suppress(httpx.ConnectError):
                return httpx.get(f"{address}/readyz").is_success
            return False

        wait_until(answers, "the gateway is ready")
        yield process, address


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[tuple[Process, str]]:
    """The process and its address; a body may have 100,000 bytes."""
    small = Settings(**settings.model_dump(exclude={"max_body"}), max_body=100_000)
    with gateway_process(small, tmp_path / "gateway.log") as running:
        yield running


@pytest.fixture
def nothing_left(
    redis_server: RedisServer, stored_keys: Callable[[], set[str]]
) -> Callable[[], None]:
    """A refused request leaves no trace."""

    def check() -> None:
        assert redis_server.client.keys() == []
        assert stored_keys() == set()

    return check


def files(*images: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Keyframes as a form sends them; without arguments two small drawings."""
    return [
        ("keyframe", (f"{index}.png", image, "image/png"))
        for index, image in enumerate(images or (png(color="teal"), png(color="gold")))
    ]


def problems(response: Response, status: int, code: str) -> dict[str, str]:
    """The document's problems, code by pointer, once its form is right."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), response.text
    document = response.json()
    assert (document["status"], document["code"], document["type"]) == (
        status,
        code,
        f"/errors/{code}",
    )
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return {entry["pointer"]: entry["code"] for entry in document.get("errors", [])}
