"""Events for webhooks in Redis, for the gateway and the deliverer: asyncio, one round trip per
operation.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

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
from core.store import keys
from core.store.client import AsyncRedis
from core.store.encoding import milliseconds, parse_job
from core.store.lua import webhooks as scripts
from core.store.lua.webhook_secrets import VALID_SECRETS
from core.store.tenants.webhook_secrets import parse_secrets


class ClaimedEvent(NamedTuple):
    """An event that this process delivers until its lease ends."""

    id: str
    claim: int  # shows that the lease is still this process's
    name: str  # a `WebhookEvent`
    tenant: str
    url: str
    created_at: datetime
    tries: int  # that failed before
    snapshot: list[str]  # the job's record as it was, field, value, …

    @property
    def record(self) -> dict[str, str]:
        """The job as it was when the event happened, as Redis holds it."""
        return dict(zip(self.snapshot[::2], self.snapshot[1::2], strict=True))

    @property
    def job(self) -> Job:
        """The same, understood."""
        return parse_job(self.record)


class Delivery(Record):
    """An event and what came of it."""

    n: int
    id: str
    event: str
    status: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: list[Attempt]


class SwitchedOff(NamedTuple):
    """Since when nothing is sent to an address, and why."""

    since: datetime
    because: str


class Backlog(NamedTuple):
    """How much there is to deliver."""

    waiting: int  # events that are not being delivered now
    due: int  # those of them that should be
    in_flight: int
    oldest_due_seconds: float  # for how long the oldest of them has been due; 0 where none is


class WebhookStore:
    """Every call answers or raises `Unavailable` within a second."""

    def __init__(self, url: str) -> None:
        self._redis = AsyncRedis(url)
        self._claim = self._redis.script(scripts.CLAIM_EVENTS)
        self._settle = self._redis.script(scripts.SETTLE)
        self._deliveries = self._redis.script(scripts.DELIVERIES)
        self._redeliver = self._redis.script(scripts.REDELIVER)
        self._look_at_address = self._redis.script(scripts.LOOK_AT_ADDRESS)
        self._switch_on = self._redis.script(scripts.SWITCH_ON)
        self._backlog = self._redis.script(scripts.BACKLOG)
        self._secrets = self._redis.script(VALID_SECRETS)

    async def claim(
        self, limit: int, of_each: int | None = None, under_way: Mapping[str, int] | None = None
    ) -> list[ClaimedEvent]:
        """Due events, as many of each receiver as may be in flight; each has a lease of `LEASE`.

        Args:
            limit: so many at most.
            of_each: so many attempts of one tenant may be under way in this process, the new ones
                included.
            under_way: how many there are already, by tenant.
        """
        held = [part for tenant_and_count in (under_way or {}).items() for part in tenant_and_count]
        found = await self._claim(limit, limit if of_each is None else of_each, *held)
        return [_claimed(_fields(flat)) for flat in found]

    async def settle(
        self, event: ClaimedEvent, attempt: Attempt, verdict: AttemptOutcome, wait: timedelta
    ) -> bool:
        """Log an attempt and end its lease; `wait` is the time to the next one, where the verdict
        is to retry.

        Answers whether the lease was still this process's; else nothing is noted.
        """
        told = attempt.model_dump_json()
        return bool(
            await self._settle(event.id, event.claim, told, verdict.value, milliseconds(wait))
        )

    async def wait_for_work(self, patience: timedelta) -> None:
        """Return at once when there may be something to deliver, else when patience ends."""
        await self._redis.pop(keys.WAKE_DELIVERER, patience)

    async def secrets(self, tenant: str) -> list[WebhookSecret]:
        """Those that are valid now, the newest first."""
        return parse_secrets(await self._secrets(tenant))

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """What a job's webhook was told or is to be told, the oldest event first; `progress` is not
        kept.
        """
        return [_delivery(_fields(flat), due) for flat, due in await self._deliveries(job_id)]

    async def redeliver(self, job_id: str, n: int) -> bool:
        """Let an event be delivered anew, with all attempts; False where there is no such event."""
        return bool(
            await self._redeliver(f"{EVENT_PREFIX}{job_id.removeprefix(JOB_ID_PREFIX)}_{n}")
        )

    async def switched_off(self, tenant: str, webhook: Webhook) -> SwitchedOff | None:
        """Since when the address gets nothing; None where it gets everything."""
        since, because = await self._look_at_address(tenant, webhook.digest)
        return SwitchedOff(from_milliseconds(int(since)), because) if since else None

    async def switch_on(self, tenant: str, webhook: Webhook) -> bool:
        """The address answers as it should; answers whether it was switched off."""
        return bool(await self._switch_on(tenant, webhook.host, webhook.digest))

    async def backlog(self) -> Backlog:
        """How much waits, for those who watch the deployment."""
        waiting, due, in_flight, oldest, now = await self._backlog()
        return Backlog(waiting, due, in_flight, (now - oldest) / 1000 if oldest else 0.0)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _claimed(fields: Mapping[str, str]) -> ClaimedEvent:
    return ClaimedEvent(
        id=fields["id"],
        claim=int(fields["claims"]),
        name=fields["name"],
        tenant=fields["tenant"],
        url=fields["url"],
        created_at=from_milliseconds(int(fields["created"])),
        tries=int(fields["tries"]),
        snapshot=json.loads(fields["snapshot"]),
    )


def _delivery(fields: Mapping[str, str], due: str) -> Delivery:
    numbers = sorted(int(name.partition(":")[2]) for name in fields if name.startswith("attempt:"))
    return Delivery(
        n=int(fields["version"]),
        id=fields["id"],
        event=fields["name"],
        status=DeliveryState(fields["state"]),
        created_at=from_milliseconds(int(fields["created"])),
        next_attempt_at=from_milliseconds(int(due)) if due else None,
        attempts=[Attempt.model_validate_json(fields[f"attempt:{number}"]) for number in numbers],
    )
