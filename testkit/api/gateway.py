"""Gateways for tests: the app in this process, or `python -m api` with a real socket."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from httpx import ASGITransport, AsyncClient
from starlette.types import ASGIApp, Receive, Scope, Send

from api.main import create_app
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys
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
    """What `python -m admin keys create` prints."""
    with closing(ApiKeys(settings.find_redis())) as keys:
        return keys.create(tenant, **options).key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A client of such a gateway. Errors of the app become its answers, as in production."""
    async with running_app(settings) as app:
        transport = ASGITransport(app, raise_app_exceptions=False)
        async with AsyncClient(transport=transport, base_url=BASE_URL) as client:
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
    address = f"http://127.0.0.1:{port}"
    with Process([sys.executable, "-m", "api"], log, environment) as process:
        # a client reads all certificates of the machine, so each look may not make one
        with httpx.Client(base_url=address) as client:

            def answers() -> bool:
                with suppress(httpx.ConnectError):
                    return client.get("/readyz").is_success
                return False

            wait_until(answers, "the gateway is ready")
        yield process, address


def lookups(server: RedisServer) -> int:
    """How often something was looked up under a hash's field; of the calls here, only keys are."""
    return int(server.client.info("commandstats").get("cmdstat_hget", {}).get("calls", 0))
