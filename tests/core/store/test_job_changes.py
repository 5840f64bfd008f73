"""News of jobs from a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.records.job import Progress, Stage, Timing
from core.records.preview import Preview
from core.store import redis_keys
from core.store.changes import ChangeFeed
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer, wait_until
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


class TestPictures:
    async def test_newest_picture_reaches_those_who_view_its_job(
        self, feed: ChangeFeed, redis_server: RedisServer, store: WorkerStore
    ) -> None:
        """An older one that was not fetched in time is dropped."""
        async with feed.view("a") as (news, pictures), feed.view("b") as (_, others):
            await viewed(redis_server, "a", by=1)
            await viewed(redis_server, "b", by=1)
            for step in (1, 2):
                store.show("a", picture(step))
            while not (pictures and Preview.model_validate_json(pictures[0]).step == 2):
                await arrives(news)
            assert not others

    async def test_picture_of_a_job_without_viewers_is_sent_to_no_gateway(
        self, feed: ChangeFeed, redis_server: RedisServer
    ) -> None:
        """The last viewer of two ends the subscription."""
        async with feed.view("a"):
            async with feed.view("a"):
                await viewed(redis_server, "a", by=1)
            await viewed(redis_server, "a", by=1)
        await viewed(redis_server, "a", by=0)

    async def test_viewers_are_subscribed_again(self, mortal_redis: RedisServer) -> None:
        """A restart of Redis forgets all subscriptions."""
        feed, store = ChangeFeed(mortal_redis.url), WorkerStore(mortal_redis.url)
        feed.start()
        async with feed.view("a") as (news, pictures):
            await viewed(mortal_redis, "a", by=1)
            mortal_redis.kill()
            mortal_redis.start()
            await viewed(mortal_redis, "a", by=1)
            store.show("a", picture(1))
            while not pictures:
                await arrives(news)
        await feed.close()
        store.close()


def picture(step: int) -> Preview:
    return Preview(step=step, width=256, height=160, image="data:image/jpeg;base64,")


async def viewed(server: RedisServer, job_id: str, *, by: int) -> None:
    """Wait until pictures of a job reach this number of gateways."""
    await asyncio.to_thread(
        wait_until,
        lambda: server.client.pubsub_numsub(redis_keys.PREVIEW + job_id)[0][1] == by,
        f"{by} gateways listen for pictures of {job_id}",
    )


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
        redis_server.client.publish(redis_keys.CHANGES, "a 2")
        await arrives(first)
        await arrives(second)
        assert not other.is_set()
        assert not left.is_set()


async def test_cut_subscription_stands_again(feed: ChangeFeed, redis_server: RedisServer) -> None:
    """Watchers are woken then, since notifications may have been lost."""
    with feed.watch("a") as news:
        redis_server.client.client_kill_filter(_type="pubsub")
        await arrives(news)
        redis_server.client.publish(redis_keys.CHANGES, "a 2")
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
