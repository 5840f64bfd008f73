"""No job ends without its event: whichever way it ends, the event is there in the same step."""

from collections.abc import Awaitable, Callable

import pytest

from core.errors import InternalFailure
from core.records.job import MAX_LOST_LEASES, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from core.store.webhooks import WebhookStore
from testkit.deliveries import Submit
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import claim, expire_lease
from testkit.store.tenant_jobs import TenantJobs

URL = "https://hooks.example.com/"


class World:
    """What can end a job."""

    def __init__(
        self,
        store: WorkerStore,
        upkeep: DispatcherStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        self.store, self.upkeep = store, upkeep
        self.async_store, self.redis = async_store, redis_server


async def succeed(world: World, _: str) -> None:
    world.store.succeed(claim(world.store), [stored_output()], Timing(), MODEL)


async def fail(world: World, _: str) -> None:
    world.store.fail(claim(world.store), InternalFailure("a mistake"), Timing(), MODEL)


async def cancel_while_queued(world: World, job_id: str) -> None:
    await world.async_store.cancel(job_id)


async def cancel_while_running(world: World, job_id: str) -> None:
    held = claim(world.store)
    await world.async_store.cancel(job_id)
    world.store.end_canceled(held, Timing(), MODEL)


async def succeed_after_a_cancel(world: World, job_id: str) -> None:
    held = claim(world.store)
    await world.async_store.cancel(job_id)
    world.store.succeed(held, [stored_output()], Timing(), MODEL)


async def vanish_after_a_cancel(world: World, job_id: str) -> None:
    claim(world.store)
    await world.async_store.cancel(job_id)
    expire_lease(world.redis, job_id)
    world.upkeep.recover_expired_leases()


async def give_back_after_a_cancel(world: World, job_id: str) -> None:
    held = claim(world.store)
    await world.async_store.cancel(job_id)
    world.store.give_back(held)


async def lose_every_worker(world: World, job_id: str) -> None:
    for _ in range(MAX_LOST_LEASES):
        claim(world.store)
        expire_lease(world.redis, job_id)
        world.upkeep.recover_expired_leases()


async def break_two_devices(world: World, _: str) -> None:
    for device in ("host/cuda:0", "host/cuda:1"):
        world.store.report_sick(claim(world.store, device), device, device, "it hangs")


@pytest.mark.parametrize(
    ("end", "event"),
    [
        (succeed, "succeeded"),
        (fail, "failed"),
        (cancel_while_queued, "canceled"),
        (cancel_while_running, "canceled"),
        (succeed_after_a_cancel, "canceled"),
        (vanish_after_a_cancel, "canceled"),
        (give_back_after_a_cancel, "canceled"),
        (lose_every_worker, "failed"),
        (break_two_devices, "failed"),
    ],
)
async def test_every_end_has_one_event(
    end: Callable[[World, str], Awaitable[None]],
    event: str,
    submit: Submit,
    store: WorkerStore,
    upkeep: DispatcherStore,
    async_store: TenantJobs,
    webhook_store: WebhookStore,
    redis_server: RedisServer,
) -> None:
    job_id = await submit(URL)
    await end(World(store, upkeep, async_store, redis_server), job_id)
    view = await async_store.read(job_id)
    assert view
    (delivery,) = await webhook_store.deliveries(job_id)
    assert (delivery.event, delivery.n, view.job.status) == (event, view.job.version, event)
    assert [one.id for one in await webhook_store.claim(10)] == [delivery.id]


async def test_every_attempt_of_a_worker_is_told_as_running(
    submit: Submit,
    store: WorkerStore,
    upkeep: DispatcherStore,
    webhook_store: WebhookStore,
    redis_server: RedisServer,
) -> None:
    job_id = await submit(URL, "running")
    claim(store)
    expire_lease(redis_server, job_id)
    upkeep.recover_expired_leases()
    claim(store)
    assert [delivery.event for delivery in await webhook_store.deliveries(job_id)] == [
        "running",
        "running",
    ]


async def test_a_job_without_a_webhook_costs_nothing(
    store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer, submit: Submit
) -> None:
    """Nor does an event that the job did not subscribe to."""
    await submit(URL, "failed")
    store.succeed(claim(store), [stored_output()], Timing(), MODEL)
    assert redis_server.client.keys("*deliver*") == []


async def test_events_vanish_when_the_job_expires(
    submit: Submit,
    async_store: TenantJobs,
    webhook_store: WebhookStore,
    upkeep: DispatcherStore,
    redis_server: RedisServer,
) -> None:
    job_id = await submit(URL)
    await async_store.cancel(job_id)
    redis_server.client.zadd(redis_keys.EXPIRY, {job_id: 1})
    upkeep.sweep_expired()
    assert await webhook_store.deliveries(job_id) == []
    assert await webhook_store.claim(10) == []
    assert not redis_server.client.keys(f"{redis_keys.DELIVERY}*")
