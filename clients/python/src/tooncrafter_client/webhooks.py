"""Verify what the service sends to a webhook (Standard Webhooks)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError

from tooncrafter_client.errors import WebhookRefused
from tooncrafter_client.models import WebhookEvent


def verify(
    body: bytes | str, headers: Mapping[str, str], secret: str | Sequence[str]
) -> WebhookEvent:
    """Return the event of a message that the service signed within the last five minutes.

    The same event may come more than once, under the same `webhook-id` header.

    Args:
        body: exactly as it arrived.
        headers: of the request, in any case of letters.
        secret: `whsec_…`; several while secrets are rotated.

    Raises:
        WebhookRefused: no secret fits, or the message is too old or too new.
    """
    secrets = [secret] if isinstance(secret, str) else secret
    refusals = [_refusal(one, body, headers) for one in secrets]
    if None not in refusals:
        raise WebhookRefused(refusals[0] if refusals else "no secret was given")
    return WebhookEvent.model_validate_json(body)


def _refusal(secret: str, body: bytes | str, headers: Mapping[str, str]) -> str | None:
    """Return why a message does not fit a secret; None if it does."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        return str(error)
    return None
