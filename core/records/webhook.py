"""Define webhooks: their receiver, their events and the waits between attempts."""

import base64
import hashlib
import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import AliasChoices, Field

from core.records.base import Record

# The first attempt is at once; then these waits, of Standard Webhooks 1.0.0: 75 h 35 min in all.
RETRY_WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
# a wait is longer by up to this share, so that receivers do not get all of an outage's events at
# once
JITTER = 0.1
TIME_LIMIT = timedelta(seconds=15)  # of one attempt, from the host's name to the status
LEASE = timedelta(seconds=30)  # of one attempt; past it the process that made it is taken for dead
SWITCH_OFF_AFTER = timedelta(days=5)  # of failures only
RECEIVER_MEMORY = timedelta(days=30)  # the failures of an address unused for longer are forgotten
MAX_IN_FLIGHT = 10  # attempts at one receiver at the same time; a receiver is a tenant and a host
# once its last attempt failed: many dead ones may not take all places of a process
MAX_IN_FLIGHT_FAILING = 2
KEPT_ATTEMPTS = 50  # of one delivery, the newest: redelivery may go on for ever
PROGRESS_EVERY = timedelta(seconds=1)  # and job, at most
PROGRESS_LIFE = timedelta(minutes=1)  # older news of progress are worth nothing

GONE = 410  # the status with which a receiver says that it wants no more
EVENT_PREFIX = "evt_"
TEST_EVENT = "webhook.test"
MARK = "whsec_"  # prefix of a secret, by Standard Webhooks


class WebhookEvent(StrEnum):
    """What a receiver may be told of a job; its name in a message begins with `interpolation.`."""

    RUNNING = "running"  # a worker began it, again after a lost one
    PROGRESS = "progress"  # at most one a second, tried once, not logged
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


FINAL_EVENTS = [WebhookEvent.SUCCEEDED, WebhookEvent.FAILED, WebhookEvent.CANCELED]


MessageForm = Literal["interpolation", "prediction"]  # whose view of a job a message holds


class Webhook(Record):
    """Where a job's events go. The URL may hold a key, so it is shown nowhere."""

    url: str = Field(repr=False)
    # host and port; with the tenant they name the receiver, which MAX_IN_FLIGHT applies to
    host: str
    # of the URL; with the tenant it names the address that is switched off when it fails for days
    digest: str
    events: list[WebhookEvent]
    form: MessageForm = "interpolation"

    @classmethod
    def for_url(cls, url: str, host: str, events: list[WebhookEvent]) -> Self:
        """Make the record of a URL; `host` is its host and port."""
        return cls(url=url, host=host, digest=url_digest(url), events=events)


class DeliveryState(StrEnum):
    """Where the delivery of one event stands."""

    PENDING = "pending"  # an attempt is due, or under way
    DELIVERED = "delivered"  # a 2xx came
    FAILED = "failed"  # the last attempt failed, or the receiver answered 410
    SKIPPED = "skipped"  # the receiver is switched off


class AttemptOutcome(StrEnum):
    """What an attempt means for its event."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"  # it was the last one
    GONE = "gone"  # 410: neither this event nor another is wanted


class Attempt(Record):
    """One try at telling a receiver: either a status code came, or `error` says why none did."""

    at: datetime
    status_code: int | None = None
    latency_seconds: float
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Only a 2xx is a success; a redirect is none."""
        return self.status_code is not None and 200 <= self.status_code < 300


def url_digest(url: str) -> str:
    """What stands for a URL in the name of a key."""
    return hashlib.sha256(url.encode()).hexdigest()


def compose(event_type: str, at: datetime, data: object) -> bytes:
    """The body of a message, as Standard Webhooks has it.

    Args:
        event_type: such as `interpolation.succeeded`.
        at: when it happened.
        data: plain JSON values.
    """
    message = {"type": event_type, "timestamp": at.isoformat().replace("+00:00", "Z"), "data": data}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


class SecretInfo(Record):
    """A secret without what makes it one."""

    id: str
    created_at: datetime = Field(validation_alias=AliasChoices("created", "created_at"))
    # None until it is replaced
    expires_at: datetime | None = Field(validation_alias=AliasChoices("expires", "expires_at"))


class WebhookSecret(SecretInfo):
    """A secret: `whsec_` and 32 bytes in base64; read from what the scripts answer."""

    secret: str = Field(repr=False)

    @property
    def key(self) -> bytes:
        """What the signature is made with."""
        return base64.b64decode(self.secret.removeprefix(MARK))
