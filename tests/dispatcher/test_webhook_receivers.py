"""Receivers of webhooks: guarded, leased, taken in turn, and sent an event again on request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import trustme

from core.outbound.fetch import Outbound
from core.records.job import Progress, Stage
from core.records.webhook import (
    RETRY_WAITS,
    Attempt,
    AttemptOutcome,
)
from core.store import redis_keys
from core.store.constants import RECEIVERS_PER_CLAIM
from core.store.roles.worker import WorkerStore
from core.store.tenants.webhook_secrets import WebhookSecrets
from core.store.webhooks import WebhookStore
from testkit.deliveries import (
    Delivering,
    Submit,
    backlog,
    eventually,
    let_time_pass,
    message,
    settled,
)
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import (
    Internet,
    NameServer,
    Visit,
    always,
    hanging,
    http,
    web_server,
)

FINE, BROKEN = (
    always(http(status="204 No Content")),
    always(http(status="500 Internal Server Error")),
)
PROMISED = len(RETRY_WAITS) + 1  # attempts at one event
SHORT = timedelta(seconds=0.2)  # of a receiver's time, where a test waits for its end


async def anywhere(host: str, port: int) -> list[str]:
    """A name server that knows every name."""
    return ["93.184.215.14"]


class TestGuard:
    async def test_a_name_that_leads_inside_by_now_is_not_connected_to(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        """It was public when the job was submitted, and may be again at a later attempt."""
        async with web_server(FINE) as server:
            names = NameServer(
                hooks=[["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["169.254.169.254"]]
            )
            internet = Internet(server.port)
            async with delivering(outbound=Outbound(resolve=names, network=internet)):
                job_id = await submit("https://hooks.example.com/")
                await async_store.cancel(job_id)
                (delivery,) = await settled(webhook_store, job_id)
        assert (len(delivery.attempts), internet.reached, server.visits) == (PROMISED, [], [])
        assert {attempt.error for attempt in delivery.attempts} == {
            "host resolves to a private address"
        }

    async def test_a_certificate_for_another_name_gets_no_message(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # by an authority that is not trusted
        trustme.CA().issue_cert("hooks.example.com").configure_cert(tls)
        async with web_server(FINE, tls) as server:
            outbound = Outbound(
                resolve=NameServer(hooks=["93.184.215.14"]), network=Internet(server.port)
            )
            async with delivering(outbound=outbound, waits=[]):
                job_id = await submit("https://hooks.example.com/")
                await async_store.cancel(job_id)
                (delivery,) = await settled(webhook_store, job_id)
        assert [attempt.error for attempt in delivery.attempts] == [
            "the host's certificate is not valid"
        ]
        assert server.visits == []


class TestLease:
    async def test_who_was_frozen_past_it_notes_nothing(
        self,
        submit: Submit,
        async_store: TenantJobs,
        webhook_store: WebhookStore,
        redis_server: RedisServer,
    ) -> None:
        job_id = await submit("https://hooks.example.com/")
        await async_store.cancel(job_id)
        (frozen,) = await webhook_store.claim(10)
        assert await webhook_store.claim(10) == []
        let_time_pass(redis_server)
        (taken_over,) = await webhook_store.claim(10)
        attempt = Attempt(at=frozen.created_at, status_code=500, latency_seconds=0.1)
        assert not await webhook_store.settle(frozen, attempt, AttemptOutcome.RETRY, timedelta())
        assert await webhook_store.settle(taken_over, attempt, AttemptOutcome.FAILED, timedelta())
        (delivery,) = await webhook_store.deliveries(job_id)
        assert (delivery.status, len(delivery.attempts)) == ("failed", 1)

    async def test_an_event_of_a_job_deleted_meanwhile_is_forgotten(
        self,
        submit: Submit,
        async_store: TenantJobs,
        webhook_store: WebhookStore,
        redis_server: RedisServer,
    ) -> None:
        job_id = await submit("https://hooks.example.com/")
        await async_store.cancel(job_id)
        (event,) = await webhook_store.claim(10)
        await async_store.delete(job_id)
        attempt = Attempt(at=event.created_at, status_code=200, latency_seconds=0.1)
        assert not await webhook_store.settle(event, attempt, AttemptOutcome.DELIVERED, timedelta())
        let_time_pass(redis_server)
        assert await webhook_store.claim(10) == []
        assert backlog(redis_server)[:3] == (0, 0, 0)


class TestRedelivery:
    async def test_it_has_all_attempts_again_and_switches_on_what_answers(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        answers = [http(status="410 Gone"), http(status="503 Service Unavailable"), http()]

        async def in_turn(_: Visit) -> AsyncIterator[bytes]:
            yield answers.pop(0) if len(answers) > 1 else answers[0]

        async with web_server(in_turn) as server, delivering(server):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            (gone,) = await settled(webhook_store, job_id)
            assert await webhook_store.redeliver(job_id, gone.n)
            (again,) = await settled(webhook_store, job_id)
            assert [attempt.status_code for attempt in again.attempts] == [410, 503, 200]
            other = await submit(server.url)
            await async_store.cancel(other)
            assert [delivery.status for delivery in await settled(webhook_store, other)] == [
                "delivered"
            ]
        assert {visit.headers["webhook-id"] for visit in server.visits[:3]} == {gone.id}


class TestProgress:
    async def test_it_is_told_once_a_second_at_most_and_leaves_no_trace(
        self, submit: Submit, store: WorkerStore, delivering: Delivering, redis_server: RedisServer
    ) -> None:
        async with web_server(BROKEN) as server:
            job_id = await submit(server.url, "progress")
            claim = store.claim("worker")
            assert claim
            store.renew(claim, progress(1))
            # however slow the machine
            redis_server.client.hincrby(redis_keys.JOB + job_id, "progress_told", 60_000)
            store.renew(claim, progress(2))
            store.renew(claim, progress(3))
            redis_server.client.hincrby(redis_keys.JOB + job_id, "progress_told", -61_000)
            store.renew(claim, progress(4))
            async with delivering(server):
                await eventually(lambda: len(server.visits) == 2, "two are told")
                await eventually(
                    lambda: not redis_server.client.keys(f"{redis_keys.DELIVERY}*"),
                    "both are forgotten",
                )
        assert sorted(message(visit)["data"]["progress"]["step"] for visit in server.visits) == [
            1,
            4,
        ]
        assert not redis_server.client.exists(redis_keys.DELIVERIES_OF + job_id)
        assert not redis_server.client.keys(f"{redis_keys.RECEIVER}*")


def progress(step: int) -> Progress:
    return Progress(
        stage=Stage.DENOISING, step=step, steps=4, percent=25.0 * step, eta_seconds=None
    )


class TestReceivers:
    async def test_fifty_events_to_one_that_hangs_delay_nobody(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        redis_server: RedisServer,
    ) -> None:
        async with web_server(hanging) as dead, web_server(FINE) as alive, delivering(dead, alive):
            for _ in range(50):
                await async_store.cancel(await submit(dead.url))
            await eventually(lambda: len(dead.visits) == 10, "as many hang as may be in flight")
            job_id = await submit(alive.url)
            await async_store.cancel(job_id)
            (delivery,) = await settled(webhook_store, job_id)
            assert (delivery.status, len(dead.visits)) == ("delivered", 10)
            assert backlog(redis_server) == (40, 40, 10, pytest.approx(0, abs=60))

    async def test_a_tenant_whose_hosts_all_hang_leaves_places_to_others(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        secrets: WebhookSecrets,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It has far more hosts than a look at the queue sees, each of them due before any of
        another tenant's.
        """
        monkeypatch.setattr("dispatcher.deliverer.MAX_IN_FLIGHT", 4)
        monkeypatch.setattr("dispatcher.deliverer.OF_ONE_TENANT", 3)
        secrets.create("crowd")
        crowd, fine = async_store.of_tenant("crowd"), "fine.example.com:80"
        names = [f"h{number}.example.com:80" for number in range(RECEIVERS_PER_CLAIM + 20)]

        async def by_host(visit: Visit) -> AsyncIterator[bytes]:
            if visit.headers["host"].startswith("h"):
                await asyncio.Event().wait()
            yield http(status="204 No Content")

        async with web_server(by_host) as server:
            for name in names:
                await crowd.cancel(await submit(f"http://{name}/", store=crowd))
            outbound = Outbound([*names, fine], resolve=anywhere, network=Internet(server.port))
            async with delivering(outbound=outbound):
                await eventually(lambda: len(server.visits) == 3, "as many hang as may")
                for done in range(3):
                    job_id = await submit(f"http://{fine}/")
                    await async_store.cancel(job_id)
                    (delivery,) = await settled(webhook_store, job_id)
                    assert (delivery.status, len(server.visits)) == ("delivered", 3 + done + 1)

    async def test_two_deliverers_send_nothing_twice(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        async with web_server(FINE) as server:
            jobs = [await submit(server.url) for _ in range(40)]
            for job_id in jobs:
                await async_store.cancel(job_id)
            async with delivering(server), delivering(server):
                for job_id in jobs:
                    await settled(webhook_store, job_id)
        assert sorted(message(visit)["data"]["id"] for visit in server.visits) == sorted(jobs)
