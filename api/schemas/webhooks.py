"""Bodies about webhooks: the log of deliveries, and test events."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.body import Body
from core.store.webhooks import Delivery


class DeliveryList(BaseModel):
    """The events of a job, the oldest first."""

    data: list[Delivery]


class WebhookTestBody(Body):
    """Where to send a test event."""

    url: str = Field(
        description="Checked like the `url` of a job's webhook.",
        examples=["https://studio.example.com/hooks/tooncrafter"],
    )


class WebhookTestView(BaseModel):
    """What came of a test event, which is tried once."""

    id: str = Field(
        description="The `webhook-id` that was sent.", examples=["evt_01K9T3E4ZQ8M5N6P7R8S9T0V1W"]
    )
    object: Literal["webhook_test"] = "webhook_test"
    delivered: bool = Field(description="Whether the receiver answered 2xx.")
    status_code: int | None = Field(
        description="What the receiver answered; null where it did not.", examples=[204]
    )
    latency_seconds: float
    error: str | None = Field(description="Why there is no answer, or why it is no success.")
    at: datetime
    switched_on: bool = Field(
        description="Whether the receiver was switched off and is not any more."
    )
