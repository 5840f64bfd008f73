"""Check webhooks of requests, read their log, and send test events."""

from datetime import UTC, datetime
from typing import NamedTuple

from api.schemas.webhooks import WebhookBody
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
    MessageForm,
    Webhook,
    WebhookEvent,
    compose,
)
from core.settings import Settings
from core.store.webhooks import Delivery, WebhookStore

MAX_TESTS = 32  # test events at the same time, a socket each
TESTS_OF_A_TENANT = 4  # of those: the hosts of one tenant may all hang
CHECKS_OF_A_TENANT = 4  # name lookups at the same time: its name server may hang

_UNSIGNED = (
    "webhooks are signed, and this tenant has no secret to sign with; the operator makes one with "
    "`python -m admin secrets create --tenant {tenant}`"
)


class CheckedWebhook(NamedTuple):
    """The `webhook` of a request; None if there was none, or if `problems` refuse it."""

    webhook: Webhook | None
    problems: list[Problem]
    warnings: list[Caution]

    def in_form(self, form: MessageForm) -> Webhook | None:
        """Return the webhook whose messages have this form."""
        return self.webhook and self.webhook.model_copy(update={"form": form})


class TestOutcome(NamedTuple):
    """The result of a test event."""

    id: str
    attempt: Attempt
    switched_on: bool  # the receiver was switched off, and is not any more


NO_WEBHOOK = CheckedWebhook(None, [], [])


class Webhooks:
    """Serves the webhooks of this deployment; the opener of `store` and `outbound` closes them."""

    def __init__(self, store: WebhookStore, outbound: Outbound) -> None:
        self._store = store
        self._outbound = outbound
        self._sender = WebhookSender(outbound)
        self._checks, self._tests = Turns(CHECKS_OF_A_TENANT), Turns(TESTS_OF_A_TENANT)

    async def check(self, body: WebhookBody, tenant: str) -> CheckedWebhook:
        """Return the webhook if its URL is allowed and the tenant has a secret to sign with.

        Raises:
            Unavailable: Redis does not answer.
        """
        webhook = await self._read(
            body.url, tenant, list(map(WebhookEvent, body.events)), "/webhook/url"
        )
        if isinstance(webhook, Problem):
            return CheckedWebhook(None, [webhook], [])
        if not await self._store.secrets(tenant):
            return CheckedWebhook(None, [_no_secret("/webhook", tenant)], [])
        return CheckedWebhook(webhook, [], await self._warnings(tenant, webhook))

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """Return the events of a job's webhook, sent or waiting, with their attempts.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await self._store.deliveries(job_id)

    async def redeliver(self, job_id: str, n: int) -> None:
        """Deliver an event again, at once and with all attempts.

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
        turns = self._tests.of_tenant(tenant)
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
            raise InvalidRequest.listing([webhook])
        secrets = await self._store.secrets(tenant)
        if not secrets:
            raise InvalidRequest.listing([_no_secret("/url", tenant)])
        event_id = f"{EVENT_PREFIX}{new_ulid()}"
        body = compose(TEST_EVENT, datetime.now(UTC), {"message": "the webhook works"})
        attempt = await self._sender.send(url, event_id, body, secrets)
        switched_on = attempt.delivered and await self._store.switch_on(tenant, webhook)
        return TestOutcome(event_id, attempt, switched_on)

    async def _read(
        self, url: str, tenant: str, events: list[WebhookEvent], pointer: str
    ) -> Webhook | Problem:
        try:
            async with self._checks.of_tenant(tenant):
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
