"""`python -m dispatcher.webhooks` as it runs: killed it loses nothing, told to stop it ends what it
began.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from core.store.webhooks import WebhookStore
from testkit.deliveries import Submit, eventually, let_time_pass, settled
from testkit.servers import Process, RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import Answer, Visit, http, web_server

Start = Callable[[int], Process]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts deliverers that may reach a port of this machine; what still runs at the end is
    killed.
    """
    started: list[Process] = []

    def start_one(port: int) -> Process:
        environment = os.environ | {
            "TOONCRAFTER_REDIS_URL": settings.redis_url or "",
            "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
            "TOONCRAFTER_ALLOWED_HOSTS": f'["127.0.0.1:{port}"]',
        }
        log = tmp_path / f"webhooks-{len(started)}.log"
        started.append(Process([sys.executable, "-m", "dispatcher.webhooks"], log, environment))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


def held_until(release: asyncio.Event) -> Answer:
    """An answer that comes once the test lets it."""

    async def answer(_: Visit) -> AsyncIterator[bytes]:
        await release.wait()
        yield http()

    return answer


async def test_a_deliverer_that_is_killed_repeats_one_attempt_and_loses_nothing(
    start: Start,
    submit: Submit,
    async_store: TenantJobs,
    webhook_store: WebhookStore,
    redis_server: RedisServer,
) -> None:
    release = asyncio.Event()
    async with web_server(held_until(release)) as server:
        # three times as many as may be in flight
        jobs = [await submit(server.url) for _ in range(30)]
        for job_id in jobs:
            await async_store.cancel(job_id)
        first = start(server.port)
        await eventually(lambda: len(server.visits) == 10, "some are in flight")
        first.kill()
        release.set()
        start(server.port)
        let_time_pass(redis_server)  # the leases of the dead one end
        deliveries = [(await settled(webhook_store, job_id))[0] for job_id in jobs]
    assert [delivery.status for delivery in deliveries] == ["delivered"] * 30
    assert [len(delivery.attempts) for delivery in deliveries] == [1] * 30
    told = [visit.headers["webhook-id"] for visit in server.visits]
    assert set(told) == {delivery.id for delivery in deliveries}
    assert max(map(told.count, told)) == 2
    assert len(told) == 40


async def test_a_deliverer_that_is_told_to_stop_ends_what_it_began(
    start: Start, submit: Submit, async_store: TenantJobs, webhook_store: WebhookStore
) -> None:
    release = asyncio.Event()
    async with web_server(held_until(release)) as server:
        job_id = await submit(f"{server.url}/?key=hunter2")
        await async_store.cancel(job_id)
        process = start(server.port)
        await eventually(lambda: server.visits, "an attempt is under way")
        process.send(signal.SIGTERM)
        release.set()
        assert await asyncio.to_thread(process.wait) == 0
    (delivery,) = await webhook_store.deliveries(job_id)
    assert delivery.status == "delivered"
    assert "hunter2" not in process.output
    assert "whsec_" not in process.output
