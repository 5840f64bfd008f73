"""Webhooks as callers ask for them: judged at once, hidden afterwards, logged, tried out."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from httpx import AsyncClient, Response
from standardwebhooks import Webhook as StandardWebhook

from api.services.webhooks import Webhooks
from core.errors import RateLimited
from core.outbound.fetch import Outbound
from core.records.webhook import WebhookSecret
from core.settings import Settings
from core.store import redis_keys
from core.store.client import AsyncRedis
from core.store.tenants.webhook_secrets import WebhookSecrets
from core.store.webhooks import WebhookStore
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway
from testkit.servers import RedisServer, wait_until
from testkit.web import Answer, Visit, WebServer, always, http, web_server

TEST_URL = "/v1/webhooks/test"
FINE, BROKEN = always(http()), always(http(status="500 Internal Server Error"))

Studio = Callable[..., AbstractAsyncContextManager[tuple[AsyncClient, WebServer]]]


@pytest.fixture
def secrets(redis_server: RedisServer) -> Iterator[WebhookSecrets]:
    secrets = WebhookSecrets(redis_server.url)
    yield secrets
    secrets.close()


@pytest.fixture
def secret(secrets: WebhookSecrets) -> WebhookSecret:
    return secrets.create("default")


@pytest.fixture
def studio(settings: Settings) -> Studio:
    """A gateway, and a receiver inside the studio."""

    @asynccontextmanager
    async def studio(answer: Answer = FINE) -> AsyncIterator[tuple[AsyncClient, WebServer]]:
        async with web_server(answer) as server:
            allowed = [f"127.0.0.1:{server.port}"]
            own = Settings(**settings.model_dump(exclude={"allowed_hosts"}), allowed_hosts=allowed)
            async with gateway(own) as client:
                yield client, server

    return studio


async def submit(client: AsyncClient, webhook: object, **options: object) -> Response:
    request = ("request", (None, json.dumps({"webhook": webhook}).encode(), "application/json"))
    return await client.post(URL, files=[*files(), request], **options)


class TestSubmission:
    async def test_a_job_shows_events_and_host_but_never_the_url(
        self, studio: Studio, secret: WebhookSecret
    ) -> None:
        async with studio() as (client, server):
            accepted = await submit(client, {"url": f"{server.url}/hook?key=hunter2"})
            assert accepted.status_code == 202, accepted.text
            read = await client.get(f"{URL}/{accepted.json()['id']}")
        shown = {"events": ["succeeded", "failed", "canceled"], "host": f"127.0.0.1:{server.port}"}
        assert accepted.json()["webhook"] == read.json()["webhook"] == shown
        assert [one["code"] for one in accepted.json()["warnings"]] == ["no_worker"]
        assert "hunter2" not in accepted.text + read.text

    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/",
            "https://127.0.0.1/",
            "https://169.254.169.254/latest",
            "https://user:word@hooks.example.com/",
            "https://hooks.example.com:8443/",
            "not a url",
        ],
    )
    async def test_a_url_that_leads_inside_is_refused(
        self,
        client: AsyncClient,
        secret: WebhookSecret,
        url: str,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        refused = await submit(client, {"url": url})
        assert problems(refused, 422, "invalid_request") == {"/webhook/url": "forbidden_url"}
        assert stored_keys() == set()

    async def test_a_tenant_without_a_secret_is_told_how_to_get_one(self, studio: Studio) -> None:
        """An unsigned message cannot be verified, and cannot be signed later."""
        async with studio() as (client, server):
            for pointer, answer in (
                ("/webhook", await submit(client, {"url": server.url})),
                ("/url", await client.post(TEST_URL, json={"url": server.url})),
            ):
                assert problems(answer, 422, "invalid_request") == {
                    pointer: "webhook_secret_missing"
                }
                assert "secrets create --tenant default" in answer.text
        assert server.visits == []

    async def test_an_estimate_judges_it_too(
        self, client: AsyncClient, secret: WebhookSecret
    ) -> None:
        request = (
            "request",
            (None, b'{"webhook": {"url": "https://10.0.0.1/"}}', "application/json"),
        )
        refused = await client.post(f"{URL}/estimate", files=[*files(), request])
        assert problems(refused, 422, "invalid_request") == {"/webhook/url": "forbidden_url"}

    async def test_unknown_events_are_refused(
        self, client: AsyncClient, secret: WebhookSecret
    ) -> None:
        refused = await submit(client, {"url": "https://127.0.0.1/", "events": ["finished"]})
        assert "/webhook/events/0" in problems(refused, 422, "invalid_request")

    async def test_a_repeated_key_makes_one_job_with_one_webhook(
        self, studio: Studio, secret: WebhookSecret
    ) -> None:
        async with studio() as (client, server):
            header = {"Idempotency-Key": "shot-12"}
            first, again = [
                await submit(client, {"url": server.url}, headers=header) for _ in range(2)
            ]
            other = await submit(client, {"url": f"{server.url}/other"}, headers=header)
        assert first.json()["id"] == again.json()["id"]
        problems(other, 422, "idempotency_key_reused")


class TestLog:
    async def test_it_lists_what_is_to_be_told(self, studio: Studio, secret: WebhookSecret) -> None:
        async with studio() as (client, server):
            job_id = (await submit(client, {"url": f"{server.url}/?key=hunter2"})).json()["id"]
            assert (await client.get(f"{URL}/{job_id}/deliveries")).json() == {"data": []}
            ended = (await client.post(f"{URL}/{job_id}/cancel")).json()
            log = await client.get(f"{URL}/{job_id}/deliveries")
        (delivery,) = log.json()["data"]
        assert (delivery["n"], delivery["event"], delivery["status"]) == (
            ended["version"],
            "canceled",
            "pending",
        )
        assert (delivery["attempts"], delivery["created_at"]) == ([], ended["finished_at"])
        assert "hunter2" not in log.text

    async def test_it_goes_with_the_job(
        self, studio: Studio, secret: WebhookSecret, redis_server: RedisServer
    ) -> None:
        """What was not delivered by then never is: its data are gone."""
        async with studio() as (client, server):
            job_id = (await submit(client, {"url": server.url})).json()["id"]
            await client.post(f"{URL}/{job_id}/cancel")
            assert redis_server.client.keys(f"{redis_keys.DELIVERY}*")
            assert (await client.delete(f"{URL}/{job_id}")).status_code == 204
            problems(await client.get(f"{URL}/{job_id}/deliveries"), 404, "not_found")
        left = set(redis_server.client.keys("*deliver*"))
        assert left <= {redis_keys.DUE_RECEIVERS, redis_keys.WAKE_DELIVERER}

    async def test_an_event_can_be_delivered_anew(
        self, studio: Studio, secret: WebhookSecret
    ) -> None:
        async with studio() as (client, server):
            job_id = (await submit(client, {"url": server.url})).json()["id"]
            n = (await client.post(f"{URL}/{job_id}/cancel")).json()["version"]
            answer = await client.post(f"{URL}/{job_id}/deliveries/{n}/redeliver")
            assert (answer.status_code, answer.json()["data"][0]["status"]) == (202, "pending")
            problems(
                await client.post(f"{URL}/{job_id}/deliveries/{n + 1}/redeliver"), 404, "not_found"
            )


class TestTestEvent:
    async def test_it_is_signed_and_says_what_came_of_it(
        self, studio: Studio, secret: WebhookSecret
    ) -> None:
        async with studio() as (client, server):
            outcome = (await client.post(TEST_URL, json={"url": server.url})).json()
        (visit,) = server.visits
        told = StandardWebhook(secret.secret).verify(visit.body, visit.headers)
        assert told["type"] == "webhook.test"
        assert (outcome["delivered"], outcome["status_code"], outcome["error"]) == (True, 200, None)
        assert outcome["id"] == visit.headers["webhook-id"]

    async def test_a_receiver_that_fails_is_tried_once(
        self, studio: Studio, secret: WebhookSecret
    ) -> None:
        async with studio(BROKEN) as (client, server):
            outcome = (await client.post(TEST_URL, json={"url": server.url})).json()
        assert (outcome["delivered"], outcome["status_code"], len(server.visits)) == (False, 500, 1)

    async def test_receivers_that_hang_hold_up_their_own_tenant_alone(
        self, settings: Settings, secrets: WebhookSecrets
    ) -> None:
        """A tenant's tests at a time are limited, to far fewer than the gateway's."""
        release = asyncio.Event()

        async def by_path(visit: Visit) -> AsyncIterator[bytes]:
            if visit.resource == "/hangs":
                await release.wait()
            yield http()

        async with web_server(by_path) as server:
            outbound = Outbound([f"127.0.0.1:{server.port}"])
            redis = AsyncRedis(settings.find_redis())
            webhooks = Webhooks(WebhookStore(redis), outbound)
            for tenant in ("slow", "other"):
                secrets.create(tenant)
            hanging = [
                asyncio.create_task(webhooks.test(f"{server.url}/hangs", "slow")) for _ in range(4)
            ]
            await asyncio.to_thread(
                wait_until, lambda: len(server.visits) == 4, "all are under way"
            )
            with pytest.raises(RateLimited, match="4 test events are under way"):
                await webhooks.test(f"{server.url}/fine", "slow")
            assert (await webhooks.test(f"{server.url}/fine", "other")).attempt.delivered
            release.set()
            assert all(outcome.attempt.delivered for outcome in await asyncio.gather(*hanging))
            assert (await webhooks.test(f"{server.url}/fine", "slow")).attempt.delivered
            await redis.close()
            await outbound.close()

    async def test_it_leads_nowhere_inside(
        self, client: AsyncClient, secret: WebhookSecret
    ) -> None:
        refused = await client.post(TEST_URL, json={"url": "https://127.0.0.1/"})
        assert problems(refused, 422, "invalid_request") == {"/url": "forbidden_url"}
        missing = await client.post(TEST_URL, json={})
        assert problems(missing, 422, "invalid_request") == {"/url": "required"}

    async def test_its_success_switches_a_receiver_on_of_which_new_jobs_were_warned(
        self, studio: Studio, secret: WebhookSecret, redis_server: RedisServer
    ) -> None:
        async with studio() as (client, server):
            webhook = {"url": server.url}
            job_id = (await submit(client, webhook)).json()["id"]
            digest = json.loads(redis_server.client.hget(redis_keys.JOB + job_id, "webhook") or "")[
                "digest"
            ]
            redis_server.client.hset(
                f"{redis_keys.RECEIVER}default:{digest}",
                mapping={"off": 1, "because": "it answered 410"},
            )
            warned = (await submit(client, webhook)).json()
            outcome = (await client.post(TEST_URL, json=webhook)).json()
            fine = (await submit(client, webhook)).json()
        assert [one["code"] for one in warned["warnings"]] == ["no_worker", "webhook_switched_off"]
        assert "it answered 410" in warned["warnings"][1]["detail"]
        assert outcome["switched_on"] is True
        assert [one["code"] for one in fine["warnings"]] == ["no_worker"]
