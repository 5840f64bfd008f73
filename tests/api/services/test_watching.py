"""Reading a job only when it changed, and waiting for the change."""

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta

import pytest
from httpx import AsyncClient, Response

from api.routers.events import STREAM_LIFE
from api.services.watching import JobWatch
from core.records.ids import new_job_id
from core.records.job import Progress, Stage, Timing
from core.records.tenant import DEFAULT_TENANT
from core.store.changes import ChangeFeed
from core.store.roles.worker import WorkerStore
from core.store.scripts import load
from testkit.api.calls import URL, files, problems
from testkit.api.jobs import claimed, queued
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import submit
from testkit.store.tenant_jobs import TenantJobs

TTL = timedelta(hours=1)
NEWS = Progress(stage=Stage.DENOISING, step=1, steps=4, percent=20, eta_seconds=None)


async def begun(
    client: AsyncClient, store: WorkerStore, method: str, path: str, **arguments: object
) -> asyncio.Task:
    """A request that waits: it has reached the gateway, and its answer is still to come."""
    task = asyncio.create_task(client.request(method, path, **arguments))
    await asyncio.sleep(0.1)
    while not (await client.get(URL)).json()["data"]:  # noqa: ASYNC110  # the job may still be in the making
        await asyncio.sleep(0.05)
    assert not task.done()
    return task


class TestLongPoll:
    async def test_it_returns_at_the_change(self, client: AsyncClient, store: WorkerStore) -> None:
        """And not at the next look: the bound lies far below the time that the caller would
        wait.
        """
        job_id = await queued(client)
        headers = {"Prefer": "wait=50", "If-None-Match": '"1"'}
        started = time.monotonic()
        waiting = await begun(client, store, "GET", f"{URL}/{job_id}", headers=headers)
        claimed(store)
        response: Response = await waiting
        assert time.monotonic() - started < 10
        assert (response.status_code, response.json()["status"]) == (200, "running")
        assert response.headers["preference-applied"] == "wait=50"

    async def test_state_that_the_caller_does_not_know_is_answered_at_once(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """What happened between two polls is not slept through."""
        job_id = await queued(client)
        claimed(store)
        headers = {"Prefer": "wait=50", "If-None-Match": '"1"'}
        response = await asyncio.wait_for(client.get(f"{URL}/{job_id}", headers=headers), 10)
        assert response.json()["status"] == "running"

    async def test_with_any_state_it_waits_for_the_next_change(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Whatever the caller has, it is not more than what is there now."""
        job_id = await queued(client)
        headers = {"Prefer": "wait=30", "If-None-Match": "*"}
        waiting = await begun(client, store, "GET", f"{URL}/{job_id}", headers=headers)
        claimed(store)
        answer: Response = await asyncio.wait_for(waiting, 10)
        assert (answer.status_code, answer.json()["status"]) == (200, "running")

    async def test_without_a_tag_it_waits_for_the_next_change(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """From the state at which the request arrives."""
        job_id = await queued(client)
        claim = claimed(store)
        waiting = await begun(
            client, store, "GET", f"{URL}/{job_id}", headers={"Prefer": "wait=50"}
        )
        store.renew(claim, NEWS)
        assert (await waiting).json()["progress"]["step"] == 1

    @pytest.mark.parametrize(("tag", "status"), [({"If-None-Match": '"2"'}, 304), ({}, 200)])
    async def test_ended_job_is_not_waited_for(
        self, client: AsyncClient, tag: dict[str, str], status: int
    ) -> None:
        """It never changes again."""
        job_id = await queued(client)
        await client.post(f"{URL}/{job_id}/cancel")
        asked = client.get(f"{URL}/{job_id}", headers={"Prefer": "wait=50"} | tag)
        response = await asyncio.wait_for(asked, 10)
        assert (response.status_code, response.headers["etag"]) == (status, '"2"')

    @pytest.mark.parametrize(("tag", "status"), [({"If-None-Match": '"1"'}, 304), ({}, 200)])
    async def test_time_out(self, client: AsyncClient, tag: dict[str, str], status: int) -> None:
        """Nothing changed: 304 for who named a state, else the job as it is."""
        job_id = await queued(client)
        response = await client.get(f"{URL}/{job_id}", headers={"Prefer": "wait=1"} | tag)
        assert response.status_code == status
        assert response.headers["preference-applied"] == "wait=1"
        assert response.headers["etag"] == '"1"'

    @pytest.mark.parametrize(
        ("prefer", "applied"),
        [
            ("wait=60", "wait=55"),
            ("wait=100000000000000", "wait=55"),
            ("respond-async, wait=30", "wait=30"),
            ("Wait = 5; x", "wait=5"),
            ("wait=0", None),
            ("wait=-1", None),
            ("wait=soon", None),
            ("await=5", None),
            ("respond-async", None),
        ],
    )
    async def test_preference_is_shortened_or_ignored_but_never_refused(
        self, client: AsyncClient, prefer: str, applied: str | None
    ) -> None:
        """RFC 7240; the state named here is an old one, so the call returns at once."""
        job_id = await queued(client)
        response = await client.get(
            f"{URL}/{job_id}", headers={"Prefer": prefer, "If-None-Match": '"0"'}
        )
        assert response.status_code == 200
        assert response.headers.get("preference-applied") == applied

    async def test_job_that_ended_and_was_deleted_meanwhile(
        self, client: AsyncClient, store: WorkerStore, redis_server: RedisServer
    ) -> None:
        """Told at once, not after the wait; both in one step, as another gateway may be faster than
        the news.
        """
        job_id = await queued(client)
        waiting = await begun(
            client, store, "GET", f"{URL}/{job_id}", headers={"Prefer": "wait=50"}
        )
        with redis_server.client.pipeline(transaction=True) as both:
            both.eval(load("gateway"), 0, "cancel", job_id, DEFAULT_TENANT)
            both.eval(load("gateway"), 0, "delete", job_id, DEFAULT_TENANT)
            both.execute()
        assert problems(await asyncio.wait_for(waiting, 10), 404, "not_found") == {}

    async def test_unknown_job_is_not_waited_for(self, client: AsyncClient) -> None:
        """With and without a tag."""
        for tag in ({}, {"If-None-Match": '"1"'}):
            answer = client.get(f"{URL}/{new_job_id()}", headers={"Prefer": "wait=50"} | tag)
            assert problems(await asyncio.wait_for(answer, 10), 404, "not_found") == {}


class TestSubmitAndWait:
    async def test_job_that_ends_in_time_is_the_answer(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """One request from drawings to video; steps on the way do not end the wait."""
        waiting = await begun(
            client, store, "POST", URL, files=files(), headers={"Prefer": "wait=50"}
        )
        claim = claimed(store)
        store.renew(claim, NEWS)
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        response: Response = await waiting
        assert (response.status_code, response.json()["status"]) == (200, "succeeded")
        assert response.headers["preference-applied"] == "wait=50"
        assert "retry-after" not in response.headers

    async def test_job_that_does_not_is_accepted_as_usual(self, client: AsyncClient) -> None:
        """202, and the client goes on as if it had not waited."""
        response = await client.post(URL, files=files(), headers={"Prefer": "wait=1"})
        assert (response.status_code, response.json()["status"]) == (202, "queued")
        assert response.headers["location"]
        assert response.headers["retry-after"]

    async def test_retry_under_the_same_key_waits_as_well(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """The first answer was lost; the second gives the same service."""
        key = {"Idempotency-Key": "take-3"}
        await client.post(URL, files=files(), headers=key)
        waiting = await begun(
            client, store, "POST", URL, files=files(), headers=key | {"Prefer": "wait=50"}
        )
        store.succeed(claimed(store), [stored_output()], Timing(), MODEL)
        response: Response = await waiting
        assert (response.json()["status"], response.headers["idempotent-replayed"]) == (
            "succeeded",
            "true",
        )

    async def test_job_canceled_and_deleted_meanwhile(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """The waiting caller gets 404, whichever client deleted the job."""
        waiting = await begun(
            client, store, "POST", URL, files=files(), headers={"Prefer": "wait=50"}
        )
        (job,) = (await client.get(URL)).json()["data"]
        await client.post(f"{URL}/{job['id']}/cancel")
        await client.delete(f"{URL}/{job['id']}")
        response: Response = await asyncio.wait_for(waiting, 10)
        assert (response.status_code, response.json().get("status")) in (
            (200, "canceled"),
            (404, 404),
        )


class TestFollow:
    async def test_redis_that_is_away_is_waited_for(self, mortal_redis: RedisServer) -> None:
        """A reader that is woken meanwhile finds no Redis; its stream goes on when there is one
        again.
        """
        jobs, feed = TenantJobs(mortal_redis.url), ChangeFeed(mortal_redis.url)
        watch, worker = JobWatch(jobs.store, feed), WorkerStore(mortal_redis.url)
        feed.start()
        job_id = new_job_id()
        await jobs.submit(job_id, generation_request(), metadata={}, ttl=TTL, request_id="")
        async with aclosing(watch.follow(job_id, DEFAULT_TENANT, 0, TTL)) as views:
            assert (await anext(views)).job.status == "queued"
            mortal_redis.kill()
            following = asyncio.create_task(anext(views))
            await asyncio.sleep(0.1)
            feed.wake_all()
            await asyncio.sleep(0.5)
            assert not following.done()
            mortal_redis.start()
            claimed(worker)
            assert (await asyncio.wait_for(following, 10)).job.status == "running"
        await feed.close()
        await jobs.close()
        worker.close()

    async def test_stream_ends_after_its_life(
        self, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """A key is checked when a stream begins, so no stream lasts for ever; clients resume."""
        assert timedelta(hours=1) == STREAM_LIFE
        feed = ChangeFeed(redis_server.url)
        watch = JobWatch(async_store.store, feed)
        feed.start()
        job = await submit(async_store)
        async with asyncio.timeout(10):
            following = watch.follow(job.id, DEFAULT_TENANT, 0, timedelta(seconds=0.3))
            views = [view async for view in following]
        assert [view.job.status for view in views] == ["queued"]
        await feed.close()
