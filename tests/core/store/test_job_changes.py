"""News of jobs from a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.records.job import Progress, Stage, Timing
from core.store import keys
from core.store.changes import ChangeFeed
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

PATIENCE_SECONDS = 10.0  # only ends a wait that would never end


@pytest.fixture
async def feed(redis_server: RedisServer) -> AsyncIterator[ChangeFeed]:
    feed = ChangeFeed(redis_server.url)
    feed.start()
    with feed.watch("any") as listens:
        await arrives(listens)  # everybody is woken once the subscription stands
    yield feed
    await feed.close()


async def arrives(news: asyncio.Event) -> None:
    await asyncio.wait_for(news.wait(), PATIENCE_SECONDS)
    news.clear()


async def test_every_change_of_a_job_is_news(
    feed: ChangeFeed, async_store: TenantJobs, store: WorkerStore
) -> None:
    """From its submission to its deletion."""
    job_id = new_job_id()
    await async_store.submit(
        job_id, generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    with feed.watch(job_id) as news:
        claim = store.claim("worker-1")
        assert claim is not None
        await arrives(news)
        store.renew(
            claim, Progress(stage=Stage.LOADING, step=0, steps=4, percent=0, eta_seconds=None)
        )
        await arrives(news)
        store.give_back(claim)
        await arrives(news)
        claim = store.claim("worker-1")
        assert claim is not None
        await arrives(news)
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        await arrives(news)
        await async_store.delete(job_id)
        await arrives(news)


async def test_only_those_who_watch_the_job_are_woken(
    feed: ChangeFeed, redis_server: RedisServer
) -> None:
    """All of them and no others; a watcher that stopped is forgotten."""
    with feed.watch("a") as left:
        pass
    with feed.watch("a") as first, feed.watch("a") as second, feed.watch("b") as other:
        redis_server.client.publish(keys.CHANGES, "a 2")
        await arrives(first)
        await arrives(second)
        assert not other.is_set()
        assert not left.is_set()


async def test_cut_subscription_stands_again(feed: ChangeFeed, redis_server: RedisServer) -> None:
    """Watchers are woken then, since notifications may have been lost."""
    with feed.watch("a") as news:
        redis_server.client.client_kill_filter(_type="pubsub")
        await arrives(news)
        redis_server.client.publish(keys.CHANGES, "a 2")
        await arrives(news)


async def test_it_waits_for_a_redis_that_starts_later(mortal_redis: RedisServer) -> None:
    """The gateway may be there first."""
    mortal_redis.kill()
    feed = ChangeFeed(mortal_redis.url)
    feed.start()
    with feed.watch("a") as news:
        await asyncio.sleep(0.5)
        assert not news.is_set()
        mortal_redis.start()
        await arrives(news)
    await feed.close()
