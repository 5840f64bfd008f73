"""Webhook deliveries as tests wait for them and read them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from core.records.webhook import RETRY_WAITS
from core.store import redis_keys
from core.store.client import open_script
from core.store.webhooks import WebhookStore
from dispatcher.deliverer import Deliverer
from testkit.servers import RedisServer
from testkit.web import Visit

AT_ONCE = [timedelta()] * len(RETRY_WAITS)  # the whole schedule without its waits
GATEWAY = "http://gateway.studio:8000"

Submit = Callable[..., Awaitable[str]]
Delivering = Callable[..., AbstractAsyncContextManager[Deliverer]]


async def eventually(condition: Callable[[], Awaitable[object] | object], what: str) -> None:
    """Return once the condition holds; the bound only ends a hang."""
    async with asyncio.timeout(60):
        while True:
            met = condition()
            if await met if isinstance(met, Awaitable) else met:
                return
            await asyncio.sleep(0.02)
    raise AssertionError(what)


async def settled(store: WebhookStore, job_id: str) -> list[Any]:
    """The deliveries of a job once nothing is to be done for any of them."""

    async def all_done() -> bool:
        found = await store.deliveries(job_id)
        return bool(found) and all(delivery.status != "pending" for delivery in found)

    await eventually(all_done, f"the events of {job_id} are settled")
    return await store.deliveries(job_id)


def backlog(server: RedisServer) -> tuple[int, int, int, float]:
    """Events that wait, those of them that are due, attempts under way, age of the oldest due."""
    waiting, due, in_flight, oldest, now = open_script(server.client, "webhooks")("backlog")
    return waiting, due, in_flight, (now - oldest) / 1000 if oldest else 0.0


def let_time_pass(server: RedisServer) -> None:
    """Every wait ends now, and so does every lease."""
    for pattern in (f"{redis_keys.DUE_EVENTS}*", f"{redis_keys.FLYING}*", redis_keys.DUE_RECEIVERS):
        for key in server.client.keys(pattern):
            for member in server.client.zrange(key, 0, -1):
                server.client.zadd(key, {member: 1})


def message(visit: Visit) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(visit.body)
    return parsed
