"""Webhooks over real sockets: every event arrives, as often as promised."""

import ssl
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from core.outbound.fetch import Outbound
from core.records.job import Timing
from core.records.webhook import (
    JITTER,
    RETRY_WAITS,
    DeliveryState,
    WebhookSecret,
)
from core.store import redis_keys
from core.store.roles.worker import WorkerStore
from core.store.tenants.webhook_secrets import WebhookSecrets
from core.store.webhooks import WebhookStore
from testkit.deliveries import (
    GATEWAY,
    Delivering,
    Submit,
    eventually,
    let_time_pass,
    message,
    settled,
)
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import (
    Answer,
    Internet,
    NameServer,
    Visit,
    always,
    by_resource,
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


def failing_first(times: int) -> Answer:
    """Answer 500 for the first attempts, then 200."""
    left = [times]

    async def answer(_: Visit) -> AsyncIterator[bytes]:
        left[0] -= 1
        yield http(status="500 Internal Server Error" if left[0] >= 0 else "200 OK")

    return answer


def verify(visit: Visit, secret: WebhookSecret) -> None:
    """As a receiver does that follows the public specification."""
    StandardWebhook(secret.secret).verify(visit.body, visit.headers)


class TestMessage:
    async def test_it_reaches_a_public_receiver_over_tls_and_verifies(
        self,
        submit: Submit,
        store: WorkerStore,
        delivering: Delivering,
        webhook_store: WebhookStore,
        secret: WebhookSecret,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("hooks.example.com").configure_cert(tls)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        job_id = await submit("https://hooks.example.com/in?key=hunter2")
        claim = store.claim("worker")
        assert claim
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        async with web_server(FINE, tls) as server:
            names, internet = NameServer(hooks=["93.184.215.14"]), Internet(server.port)
            outbound = Outbound(resolve=names, network=internet)
            async with delivering(outbound=outbound):
                await settled(webhook_store, job_id)
        (visit,) = server.visits
        assert (visit.method, visit.resource, visit.server_name) == (
            "POST",
            "/in?key=hunter2",
            "hooks.example.com",
        )
        verify(visit, secret)
        told = message(visit)
        assert (told["type"], told["data"]["id"]) == ("interpolation.succeeded", job_id)
        assert datetime.fromisoformat(told["timestamp"]) == told_at(store, job_id)
        assert told["data"]["outputs"][0]["url"].startswith(f"{GATEWAY}/files/")
        assert told["data"]["plan"].keys() == {"segments", "reused", "passes"}
        assert told["data"]["webhook"] == {
            "events": ["succeeded", "failed", "canceled"],
            "host": "hooks.example.com",
        }
        assert b"hunter2" not in visit.body

    async def test_during_a_rotation_both_secrets_verify_it_and_no_other(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        secret: WebhookSecret,
        secrets: WebhookSecrets,
    ) -> None:
        rotated, stranger = secrets.rotate("default"), secrets.create("stranger")
        async with web_server(FINE) as server, delivering(server):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            await settled(webhook_store, job_id)
        (visit,) = server.visits
        verify(visit, secret)
        verify(visit, rotated)
        with pytest.raises(WebhookVerificationError):
            verify(visit, stranger)

    async def test_events_of_a_job_are_ordered_by_its_version(
        self,
        submit: Submit,
        store: WorkerStore,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        """An event shows the job as it was, however late it is told."""
        async with web_server(FINE) as server:
            job_id = await submit(server.url, "running", "succeeded")
            claim = store.claim("worker")
            assert claim
            store.succeed(claim, [stored_output()], Timing(), MODEL)
            async with delivering(server):
                deliveries = await settled(webhook_store, job_id)
        told = sorted(map(message, server.visits), key=lambda one: one["data"]["version"])
        assert [(one["type"], one["data"]["status"]) for one in told] == [
            ("interpolation.running", "running"),
            ("interpolation.succeeded", "succeeded"),
        ]
        assert [delivery.n for delivery in deliveries] == [one["data"]["version"] for one in told]


def told_at(store: WorkerStore, job_id: str) -> datetime | None:
    job = store.get(job_id)
    assert job
    return job.finished_at


class TestAttempts:
    async def test_a_receiver_that_fails_five_times_is_told_a_sixth_time(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        async with web_server(failing_first(5)) as server, delivering(server):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            (delivery,) = await settled(webhook_store, job_id)
        assert [attempt.status_code for attempt in delivery.attempts] == [500] * 5 + [200]
        assert delivery.status is DeliveryState.DELIVERED
        assert {visit.headers["webhook-id"] for visit in server.visits} == {delivery.id}
        assert len({visit.body for visit in server.visits}) == 1

    @pytest.mark.parametrize(
        ("answer", "status", "error"),
        [
            (BROKEN, 500, None),
            (always(http(status="302 Found", location="/elsewhere")), 302, "redirects"),
            (always(b""), None, "broke the connection off"),
            (always(b"HTTP/1.1 2"), None, "broke the connection off"),
            (hanging, None, "did not answer within"),
        ],
        ids=["500", "redirect", "closes", "closes early", "hangs"],
    )
    async def test_a_receiver_that_never_succeeds_gets_exactly_what_was_promised(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        answer: Answer,
        status: int | None,
        error: str | None,
    ) -> None:
        async with web_server(answer) as server, delivering(server, time_limit=SHORT):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            (delivery,) = await settled(webhook_store, job_id)
        assert (delivery.status, len(delivery.attempts), server.connections) == (
            "failed",
            PROMISED,
            PROMISED,
        )
        assert {attempt.status_code for attempt in delivery.attempts} == {status}
        assert all((error or "") in (attempt.error or "") for attempt in delivery.attempts)
        assert {visit.resource for visit in server.visits} <= {"/"}

    async def test_an_answer_that_never_ends_is_a_success_once_its_status_is(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        async def endless(_: Visit) -> AsyncIterator[bytes]:
            yield b"HTTP/1.1 200 OK\r\n\r\n"
            while True:
                yield b"x" * 10_000

        async with web_server(endless) as server, delivering(server):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            (delivery,) = await settled(webhook_store, job_id)
        assert [attempt.status_code for attempt in delivery.attempts] == [200]

    async def test_the_waits_are_those_of_the_specification(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        redis_server: RedisServer,
    ) -> None:
        async with web_server(BROKEN) as server, delivering(server, waits=list(RETRY_WAITS)):
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            for number, wait in enumerate(RETRY_WAITS, 1):

                async def made(number: int = number) -> bool:
                    (delivery,) = await webhook_store.deliveries(job_id)
                    return len(delivery.attempts) == number

                await eventually(made, f"attempt {number}")
                (delivery,) = await webhook_store.deliveries(job_id)
                pause = delivery.next_attempt_at - delivery.attempts[-1].at
                assert wait <= pause <= wait * (1 + JITTER) + timedelta(seconds=20)
                let_time_pass(redis_server)
            (delivery,) = await settled(webhook_store, job_id)
        assert len(delivery.attempts) == PROMISED
        assert sum(RETRY_WAITS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)

    async def test_a_410_ends_them_and_nothing_more_is_sent_there(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
    ) -> None:
        answers = by_resource({"/gone": http(status="410 Gone"), "/other": http()})
        async with web_server(answers) as server, delivering(server):
            states = []
            for path in ("/gone", "/gone", "/other"):
                job_id = await submit(server.url + path)
                await async_store.cancel(job_id)
                (delivery,) = await settled(webhook_store, job_id)
                states.append((delivery.status.value, len(delivery.attempts)))
        assert states == [("failed", 1), ("skipped", 0), ("delivered", 1)]

    async def test_five_days_of_failure_switch_a_receiver_off(
        self,
        submit: Submit,
        async_store: TenantJobs,
        delivering: Delivering,
        webhook_store: WebhookStore,
        redis_server: RedisServer,
    ) -> None:
        async with web_server(BROKEN) as server:
            job_id = await submit(server.url)
            await async_store.cancel(job_id)
            async with delivering(server):
                await settled(webhook_store, job_id)
            job = await async_store.read(job_id)
            assert job
            assert job.job.webhook
            assert await webhook_store.switched_off("default", job.job.webhook) is None
            (address,) = redis_server.client.keys(f"{redis_keys.RECEIVER}*")
            redis_server.client.hincrby(address, "failing_since", -5 * 24 * 3600 * 1000)
            assert await webhook_store.redeliver(job_id, job.job.version)
            async with delivering(server, waits=[]):
                await settled(webhook_store, job_id)
            off = await webhook_store.switched_off("default", job.job.webhook)
        assert off
        assert off.because == "it has failed for 5 days"
