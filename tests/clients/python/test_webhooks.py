"""A webhook message is believed only if the service signed it."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.outbound.webhooks import signature_headers
from core.records.webhook import WebhookSecret
from tooncrafter_client import WebhookRefused
from tooncrafter_client.webhooks import verify

OLD, NEW = (f"whsec_{base64.b64encode(bytes([number]) * 24).decode()}" for number in (1, 2))
Message = Callable[..., tuple[bytes, dict[str, str]]]


@pytest.fixture
def message(job: Callable[..., dict[str, Any]]) -> Message:
    """A message as the service signs it."""

    def make(*secrets: str, age: timedelta = timedelta()) -> tuple[bytes, dict[str, str]]:
        at = datetime.now(UTC) - age
        event = {"type": "interpolation.succeeded", "timestamp": at.isoformat(), "data": job()}
        body = json.dumps(event).encode()
        signing = [
            WebhookSecret(id="s", secret=secret, created_at=at, expires_at=None)
            for secret in secrets
        ]
        return body, signature_headers("evt_1", at, body, signing)

    return make


def test_signed_message_is_an_event(message: Message, job: Callable[..., dict[str, Any]]) -> None:
    event = verify(*message(NEW), NEW)
    assert event.type == "interpolation.succeeded"
    assert event.job.id == job()["id"]


def test_secrets_may_be_rotated_on_either_side(message: Message) -> None:
    """The service signs with two for a while, or the receiver knows two."""
    assert verify(*message(OLD, NEW), NEW)
    assert verify(*message(OLD), [NEW, OLD])


def test_changed_unsigned_and_old_messages_are_refused(message: Message) -> None:
    body, headers = message(NEW)
    for wrong in (
        (body + b" ", headers),
        (body, {}),
        message(OLD),
        message(NEW, age=timedelta(hours=1)),
    ):
        with pytest.raises(WebhookRefused):
            verify(*wrong, NEW)
