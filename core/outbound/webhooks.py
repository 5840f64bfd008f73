"""Send one webhook attempt, signed as Standard Webhooks says, through the guard."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import anyio
import httpcore

from core.outbound.fetch import Outbound
from core.outbound.urls import UrlRefused
from core.records.webhook import TIME_LIMIT, Attempt, WebhookSecret

MAX_ANSWER = 16 * 2**10  # bytes of an answer that are read, and thrown away; only its status counts

UNSIGNED = "the tenant has no webhook secret to sign with"
REDIRECTED = "the receiver redirects, which is not followed"


def signature_headers(
    message_id: str, at: datetime, body: bytes, secrets: Iterable[WebhookSecret]
) -> dict[str, str]:
    """The headers by which a receiver knows a message: one signature for each secret that is valid.

    Args:
        message_id: the same for all attempts at one event; without a dot.
        at: when this attempt is made.
        body: the bytes that are sent.
        secrets: of the tenant.
    """
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(secret.key, signed, hashlib.sha256)).decode()
        for secret in secrets
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


class WebhookSender:
    """Makes delivery attempts; the owner of `outbound` closes it."""

    def __init__(self, outbound: Outbound, time_limit: timedelta = TIME_LIMIT) -> None:
        self._outbound = outbound
        self._time_limit = time_limit

    async def send(
        self, url: str, message_id: str, body: bytes, secrets: list[WebhookSecret]
    ) -> Attempt:
        """POST a message and return how it went; a failure is returned, not raised.

        The URL is checked again, redirects are not followed, and the whole attempt takes at most
        the time limit.
        """
        at, start = datetime.now(UTC), time.monotonic()
        status, error = None, None
        if not secrets:
            error = UNSIGNED
        else:
            headers = {
                "Content-Type": "application/json",
                **signature_headers(message_id, at, body, secrets),
            }
            status, error = await self._post(url, headers, body)
        return Attempt(
            at=at,
            status_code=status,
            latency_seconds=round(time.monotonic() - start, 3),
            error=error,
        )

    async def _post(
        self, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int | None, str | None]:
        """Status of the answer and, where it is no success, why not; a status once read counts,
        whatever follows.
        """
        status, error = None, None
        try:
            with anyio.fail_after(self._time_limit.total_seconds()):
                target = self._outbound.parse(url)
                async with self._outbound.request(
                    "POST", target, headers, body, silence=self._time_limit
                ) as response:
                    status = response.status
                    await _read_some(response)
        except TimeoutError:
            error = f"the receiver did not answer within {self._time_limit.total_seconds():g} s"
        except UrlRefused as refused:
            error = str(refused)
        if status is None:
            return None, error
        return status, REDIRECTED if 300 <= status < 400 else None


async def _read_some(response: httpcore.Response) -> None:
    """Let the receiver finish its answer, unless it is long: closing at once would look to it like
    a failure.
    """
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > MAX_ANSWER:
            return
