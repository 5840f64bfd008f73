"""Callers and workers take turns in any order, over HTTP: what the contract promises of a job
always holds.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as limits
from hypothesis.stateful import (
    run_state_machine_as_test,
)
from starlette.types import ASGIApp

from core.objects.storage import open_storage
from core.settings import Settings
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from testkit.api.caller import Caller
from testkit.api.gateway import running_app
from testkit.api.life import Life
from testkit.servers import RedisServer
from testkit.suite.examples import examples


@pytest.fixture
def life(
    settings: Settings, redis_server: RedisServer, store: WorkerStore, upkeep: DispatcherStore
) -> Iterator[type[Life]]:
    # tens of thousands of requests, whose log lines are of no use
    configure_logging("WARNING", "json")
    with asyncio.Runner() as runner:
        started: asyncio.Queue[ASGIApp] = asyncio.Queue()
        stop = asyncio.Event()

        async def serve() -> None:
            async with running_app(settings) as app:
                started.put_nowait(app)
                await stop.wait()

        async def in_background(task: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            return asyncio.create_task(task)

        gateway = runner.run(in_background(serve()))
        Life.caller = Caller(runner, runner.run(started.get()))
        Life.server, Life.storage = redis_server, open_storage(settings)
        Life.store, Life.dispatcher = store, upkeep
        yield Life
        Life.caller.close()
        stop.set()
        runner.run(asyncio.wait_for(gateway, 10))


@pytest.mark.timeout(600)  # a failure is shrunk for up to five minutes
def test_any_interleaving_keeps_the_contract(life: type[Life]) -> None:
    """Submit, poll, follow, list, cancel, delete and download, while workers claim, report, end,
    stop and vanish.
    """
    bounds = limits(
        max_examples=examples(80),
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(life, settings=bounds)
