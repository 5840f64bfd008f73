"""A deliverer in this process, receivers that answer as badly as a test wants, and jobs that
end.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from core.objects.links import output_link
from core.objects.storage import open_storage
from core.outbound.fetch import Outbound
from core.outbound.webhooks import WebhookSender
from core.records.ids import new_job_id
from core.records.webhook import FINAL_EVENTS, TIME_LIMIT, Webhook, WebhookEvent, WebhookSecret
from core.settings import Settings
from core.store.client import AsyncRedis
from core.store.tenants.webhook_secrets import WebhookSecrets
from core.store.webhooks import WebhookStore
from dispatcher.deliverer import Deliverer
from testkit.deliveries import (
    AT_ONCE,
    GATEWAY,
    Delivering,
    Submit,
)
from testkit.jobs import generation_request
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import WebServer


@pytest.fixture
def webhook_store(async_redis: AsyncRedis) -> WebhookStore:
    return WebhookStore(async_redis)


@pytest.fixture
def secrets(redis_server: RedisServer) -> Iterator[WebhookSecrets]:
    secrets = WebhookSecrets(redis_server.url)
    yield secrets
    secrets.close()


@pytest.fixture
def secret(secrets: WebhookSecrets) -> WebhookSecret:
    """What the tenant's webhooks are signed with."""
    return secrets.create("default")


@pytest.fixture
def submit(async_store: TenantJobs, secret: WebhookSecret) -> Submit:
    """Makes a job whose events go to a URL."""

    async def submit(
        url: str,
        *events: str,
        ttl: timedelta = timedelta(days=1),
        store: TenantJobs = async_store,
    ) -> str:
        with_checked = Outbound([url.split("/")[2]] if url.startswith("http:") else [])
        webhook = Webhook.for_url(
            url,
            with_checked.parse(url).host_header,
            list(map(WebhookEvent, events)) or FINAL_EVENTS,
        )
        job_id = new_job_id()
        await store.submit(
            job_id, generation_request(), metadata={}, ttl=ttl, request_id="", webhook=webhook
        )
        return job_id

    return submit


@pytest.fixture
def delivering(
    settings: Settings, webhook_store: WebhookStore, monkeypatch: pytest.MonkeyPatch
) -> Delivering:
    """Delivers while the block runs, looking often for what is due, and ends what is under way when
    it ends.
    """
    monkeypatch.setattr("dispatcher.deliverer.LOOK", timedelta(seconds=0.05))

    @asynccontextmanager
    async def delivering(
        *servers: WebServer,
        outbound: Outbound | None = None,
        waits: list[timedelta] = AT_ONCE,
        time_limit: timedelta = TIME_LIMIT,
    ) -> AsyncIterator[Deliverer]:
        way_out = outbound or Outbound(
            [f"127.0.0.1:{server.port}" for server in servers], max_connections=400
        )
        link = partial(output_link, open_storage(settings), settings.presigned_ttl)
        deliverer = Deliverer(
            webhook_store, WebhookSender(way_out, time_limit), link, GATEWAY, waits
        )
        task = asyncio.create_task(deliverer.run())
        yield deliverer
        deliverer.stop()
        for attempt in deliverer._in_flight:
            # a receiver that hangs would hold the test for as long as an attempt may take
            attempt.cancel()
        await task
        await way_out.close()

    return delivering
