"""Store webhook events in Redis; asyncio, one round trip per operation."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import Field, Json

from core.records.base import Record, from_milliseconds
from core.records.ids import JOB_ID_PREFIX
from core.records.job import Job
from core.records.webhook import (
    EVENT_PREFIX,
    Attempt,
    AttemptOutcome,
    DeliveryState,
    Webhook,
    WebhookSecret,
)
from core.store import redis_keys
from core.store.client import AsyncRedis
from core.store.encoding import flat, pairs, parse_job
from core.store.tenants.webhook_secrets import SECRETS


class ClaimedEvent(Record):
    """An event that this process delivers until its lease ends."""

    id: str
    # shows that the lease is still this process's
    claim: int = Field(validation_alias="claims")
    name: str  # a `WebhookEvent`
    tenant: str
    url: str = Field(repr=False)
    created_at: datetime = Field(validation_alias="created")
    tries: int  # that failed before
    snapshot: Json[list[str]]  # the job's record as it was, field, value, …

    @property
    def record(self) -> dict[str, str]:
        """The job as it was when the event happened, as Redis holds it."""
        return pairs(self.snapshot)

    @property
    def job(self) -> Job:
        """The same as a record."""
        return parse_job(self.record)


class Delivery(Record):
    """An event and what came of it."""

    n: int = Field(validation_alias="version")
    id: str
    event: str = Field(validation_alias="name")
    status: DeliveryState = Field(validation_alias="state")
    created_at: datetime = Field(validation_alias="created")
    next_attempt_at: datetime | None
    attempts: list[Attempt]


class SwitchedOff(NamedTuple):
    """Since when nothing is sent to an address, and why."""

    since: datetime
    because: str


class WebhookStore:
    """Events and their deliveries. Every call answers or raises `Unavailable` within a second."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._redis = redis
        self._run = redis.script("webhooks")
        self._secrets = redis.script("webhook_secrets")

    async def claim(
        self, limit: int, of_each: int | None = None, under_way: Mapping[str, int] | None = None
    ) -> list[ClaimedEvent]:
        """Claim due events, within each receiver's limit of attempts in flight.

        Args:
            limit: of this call.
            of_each: attempts of one tenant that may be under way in this process, the new ones
                included; None for any number.
            under_way: how many there are already, by tenant.

        Returns:
            The events, each under a lease of `LEASE`.
        """
        most = limit if of_each is None else of_each
        found = await self._run("claim", limit, most, *flat(under_way or {}))
        return [ClaimedEvent.model_validate(pairs(fields)) for fields in found]

    async def settle(
        self, event: ClaimedEvent, attempt: Attempt, outcome: AttemptOutcome, wait: timedelta
    ) -> bool:
        """Log an attempt and end its lease.

        Args:
            event: of `claim`.
            attempt: as it went.
            outcome: what it means for the event.
            wait: until the next attempt, if the outcome is to retry.

        Returns:
            Whether the lease was still this process's; if not, nothing is noted.
        """
        arguments = (event.id, event.claim, attempt.model_dump_json(), outcome.value, wait)
        return bool(await self._run("settle", *arguments))

    async def wait_for_work(self, patience: timedelta) -> None:
        """Return when there may be something to deliver, or when patience ends."""
        await self._redis.pop(redis_keys.WAKE_DELIVERER, patience)

    async def secrets(self, tenant: str) -> list[WebhookSecret]:
        """Return the tenant's valid secrets, the newest first."""
        return SECRETS.validate_json(await self._secrets("valid", tenant))

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """Return a job's events and their attempts, the oldest first; `progress` is not kept."""
        found = await self._run("deliveries", job_id)
        return [_delivery(pairs(fields), due) for fields, due in found]

    async def redeliver(self, job_id: str, n: int) -> bool:
        """Deliver an event again, with all attempts; return False if there is no such event."""
        event_id = f"{EVENT_PREFIX}{job_id.removeprefix(JOB_ID_PREFIX)}_{n}"
        return bool(await self._run("redeliver", event_id))

    async def switched_off(self, tenant: str, webhook: Webhook) -> SwitchedOff | None:
        """Return since when and why the address gets nothing; None if it gets everything."""
        since, because = await self._run("switched_off", tenant, webhook.digest)
        return SwitchedOff(from_milliseconds(int(since)), because) if since else None

    async def switch_on(self, tenant: str, webhook: Webhook) -> bool:
        """Note that the address answers as it should; return whether it was switched off."""
        return bool(await self._run("switch_on", tenant, webhook.host, webhook.digest))


def _delivery(fields: Mapping[str, str], due: str) -> Delivery:
    numbers = sorted(int(name.partition(":")[2]) for name in fields if name.startswith("attempt:"))
    attempts = [Attempt.model_validate_json(fields[f"attempt:{number}"]) for number in numbers]
    known = {**fields, "next_attempt_at": due or None, "attempts": attempts}
    return Delivery.model_validate(known)
