"""Check webhooks, list and repeat deliveries and send test events, free of HTTP."""

from datetime import UTC, datetime
from typing import NamedTuple

from api.schemas.jobs import WebhookBody
from api.services.turns import Turns
from core.errors import InvalidRequest, NotFound, Problem, RateLimited
from core.outbound.fetch import Outbound
from core.outbound.urls import UrlRefused
from core.outbound.webhooks import WebhookSender
from core.records.ids import new_ulid
from core.records.job import Caution
from core.records.webhook import (
    EVENT_PREFIX,
    TEST_EVENT,
    TIME_LIMIT,
    Attempt,
    Webhook,
    WebhookEvent,
    compose,
)
from core.settings import Settings
from core.store.webhooks import Delivery, WebhookStore

# test events of one gateway at the same time; a socket each, for as long as an attempt may take
MAX_TESTS = 32
TESTS_OF_A_TENANT = 4  # of MAX_TESTS; a tenant's test receivers may hang until the time limit
# names of receivers that are looked up at the same time; its name server may hang
CHECKS_OF_A_TENANT = 4

_UNSIGNED = (
    "webhooks are signed, and this tenant has no secret to sign with; the operator makes one with "
    "`python -m admin secrets create --tenant {tenant}`"
)


class JudgedWebhook(NamedTuple):
    """What became of the `webhook` of a request; None where there was none, or something is wrong
    with it.
    """

    webhook: Webhook | None
    problems: list[Problem]
    warnings: list[Caution]


class TestOutcome(NamedTuple):
    """What came of a test event."""

    id: str
    attempt: Attempt
    switched_on: bool  # the receiver was switched off, and is not any more


NO_WEBHOOK = JudgedWebhook(None, [], [])


class Webhooks:
    """Webhooks as the gateway serves them."""

    def __init__(self, store: WebhookStore, outbound: Outbound) -> None:
        """Use a store and an outbound client that their owner closes."""
        self._store = store
        self._outbound = outbound
        self._sender = WebhookSender(outbound)
        self._checks, self._tests = Turns(CHECKS_OF_A_TENANT), Turns(TESTS_OF_A_TENANT)

    async def judge(self, body: WebhookBody | None, tenant: str) -> JudgedWebhook:
        """Whether a job may have this webhook, by the rules for URLs and by whether it could be
        signed.

        Raises:
            Unavailable: Redis does not answer.
        """
        if body is None:
            return NO_WEBHOOK
        webhook = await self._read(
            body.url, tenant, list(map(WebhookEvent, body.events)), "/webhook/url"
        )
        if isinstance(webhook, Problem):
            return JudgedWebhook(None, [webhook], [])
        if not await self._store.secrets(tenant):
            return JudgedWebhook(None, [_no_secret("/webhook", tenant)], [])
        return JudgedWebhook(webhook, [], await self._warnings(tenant, webhook))

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """What a job's webhook was told, or is to be told.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await self._store.deliveries(job_id)

    async def redeliver(self, job_id: str, n: int) -> None:
        """Deliver an event again, immediately and with a full set of attempts.

        Raises:
            NotFound: the job has no such event.
            Unavailable: Redis does not answer.
        """
        if not await self._store.redeliver(job_id, n):
            raise NotFound(f"interpolation {job_id} has no delivery {n}")

    async def test(self, url: str, tenant: str) -> TestOutcome:
        """Send a signed test event now, once; a success switches a receiver on again.

        Raises:
            InvalidRequest: the URL breaks a rule, or there is nothing to sign with.
            RateLimited: as many are under way as may be.
            Unavailable: Redis does not answer.
        """
        turns = self._tests.of(tenant)
        if turns.locked():
            raise RateLimited(
                f"{TESTS_OF_A_TENANT} test events are under way, as many as may be",
                TIME_LIMIT.total_seconds(),
            )
        async with turns:
            return await self._test(url, tenant)

    async def _test(self, url: str, tenant: str) -> TestOutcome:
        webhook = await self._read(url, tenant, [], "/url")
        if isinstance(webhook, Problem):
            raise InvalidRequest.of([webhook])
        secrets = await self._store.secrets(tenant)
        if not secrets:
            raise InvalidRequest.of([_no_secret("/url", tenant)])
        event_id = f"{EVENT_PREFIX}{new_ulid()}"
        body = compose(TEST_EVENT, datetime.now(UTC), {"message": "the webhook works"})
        attempt = await self._sender.send(url, event_id, body, secrets)
        switched_on = attempt.delivered and await self._store.switch_on(tenant, webhook)
        return TestOutcome(event_id, attempt, switched_on)

    async def _read(
        self, url: str, tenant: str, events: list[WebhookEvent], pointer: str
    ) -> Webhook | Problem:
        try:
            async with self._checks.of(tenant):
                await self._outbound.check(url)
            return Webhook.for_url(url, self._outbound.parse(url).host_header, events)
        except UrlRefused as refused:
            return Problem(pointer, refused.code, str(refused))

    async def _warnings(self, tenant: str, webhook: Webhook) -> list[Caution]:
        off = await self._store.switched_off(tenant, webhook)
        if off is None:
            return []
        since = f"{off.since:%Y-%m-%dT%H:%M:%SZ}"
        reason = f"nothing is sent to this webhook since {since}, because {off.because}"
        return [
            Caution(
                code="webhook_switched_off",
                detail=f"{reason}; a successful test event switches it on again",
            )
        ]


def open_webhook_outbound(settings: Settings) -> Outbound:
    """The gateway's way to receivers of test events, apart from that to images."""
    return Outbound(settings.allowed_hosts, max_connections=MAX_TESTS)


def _no_secret(pointer: str, tenant: str) -> Problem:
    return Problem(pointer, "webhook_secret_missing", _UNSIGNED.format(tenant=tenant))
