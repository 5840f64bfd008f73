"""Bodies about webhooks: of a request, the log of deliveries, and test events."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.body import Body
from core.records.base import View
from core.records.webhook import FINAL_EVENTS, WebhookEvent
from core.store.webhooks import Delivery


class WebhookBody(Body):
    """Who is told of the job's events, so that no client needs to poll."""

    url: str = Field(examples=["https://studio.example.com/hooks/tooncrafter"])
    """An https address of a public host that takes signed messages by POST (docs/webhooks.md).
    Shown nowhere again.
    """
    events: list[Literal["running", "progress", "succeeded", "failed", "canceled"]] = Field(
        default=[event.value for event in FINAL_EVENTS], min_length=1, max_length=len(WebhookEvent)
    )
    """What is told. `progress` comes at most once a second and is tried once; all others are tried
    again for three days.
    """


class DeliveryList(View):
    """The events of a job, the oldest first."""

    data: list[Delivery]


class WebhookTestBody(Body):
    """Where to send a test event."""

    url: str = Field(examples=["https://studio.example.com/hooks/tooncrafter"])
    """Checked like the `url` of a job's webhook."""


class WebhookTestView(View):
    """What came of a test event, which is tried once."""

    id: str = Field(examples=["evt_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])
    """The `webhook-id` that was sent."""
    object: Literal["webhook_test"] = "webhook_test"
    delivered: bool
    """Whether the receiver answered 2xx."""
    status_code: int | None = Field(examples=[204])
    """What the receiver answered; null where it did not."""
    latency_seconds: float
    error: str | None
    """Why there is no answer, or why it is no success."""
    at: datetime
    switched_on: bool
    """Whether the receiver was switched off and is not any more."""
