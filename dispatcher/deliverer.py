"""Claim, send and settle due webhook events, hundreds at a time."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from anyio import to_thread
from opentelemetry.trace import Span, SpanKind

from core.errors import Unavailable
from core.outbound.webhooks import WebhookSender
from core.records.job import QueuedView
from core.records.prediction import prediction_view
from core.records.view import OutputLink, job_view
from core.records.webhook import GONE, JITTER, LEASE, RETRY_WAITS, Attempt, AttemptOutcome, compose
from core.store.webhooks import ClaimedEvent, WebhookStore
from core.telemetry.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_SECONDS
from core.telemetry.tracing import ending, fail, start_span, trace_id_field

# attempts of one process; each holds a socket, of which a process usually has 1024
MAX_IN_FLIGHT = 400
OF_ONE_TENANT = MAX_IN_FLIGHT * 3 // 4  # it may have any number of hosts, which may all hang
# news wake the loop at once; this finds what no news announce: waits that end
LOOK = timedelta(seconds=0.4)
PATIENCE_SECONDS = 1.0  # between tries while Redis does not answer

log = structlog.get_logger("dispatcher")


class Deliverer:
    """Delivers until it is told to stop. Several processes may do so at the same time."""

    def __init__(
        self,
        store: WebhookStore,
        sender: WebhookSender,
        link: OutputLink,
        base_url: str,
        waits: Sequence[timedelta] = RETRY_WAITS,
    ) -> None:
        """Prepare; `run` begins.

        Args:
            store: holds the events.
            sender: sends them.
            link: makes a link to an output of a job; called for each attempt.
            base_url: the gateway's address, for links that are only a path.
            waits: between one attempt and the next; one attempt more than these ends an event.
        """
        self._store = store
        self._sender = sender
        self._link = link
        self._base_url = base_url
        self._waits = waits
        self._in_flight: set[asyncio.Task[None]] = set()
        self._of_tenants: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more; `run` returns once all attempts under way have ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver whatever becomes due."""
        log.info("webhook deliverer started")
        while not self._stopping.is_set():
            try:
                await self._start_due()
            except Unavailable as error:
                log.warning("webhook deliverer waits for Redis", error=error.detail)
                await asyncio.sleep(PATIENCE_SECONDS)
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        log.info("webhook deliverer stopped")

    async def _start_due(self) -> None:
        """Begin as many attempts as have a place, or wait until there may be one to begin."""
        free = MAX_IN_FLIGHT - len(self._in_flight)
        if free == 0:
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            return
        claimed = await self._store.claim(free, OF_ONE_TENANT, self._of_tenants)
        for event in claimed:
            task = asyncio.create_task(self._deliver(event), name=event.id)
            self._in_flight.add(task)
            self._of_tenants[event.tenant] += 1
            task.add_done_callback(partial(self._ended, event.tenant))
        if not claimed:
            await self._store.wait_for_work(LOOK)

    def _ended(self, tenant: str, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._of_tenants -= Counter([tenant])  # forgets those that have none

    async def _deliver(self, event: ClaimedEvent) -> None:
        lease_end = time.monotonic() + LEASE.total_seconds()
        record = event.record
        try:
            with ending(_start_trace(event, record.get("traceparent", ""))) as span:
                attempt = await self._attempt(event)
                _finish_trace(span, attempt)
        except Unavailable as error:
            log.warning(
                "an event cannot be put together, trying again",
                event_id=event.id,
                error=error.detail,
            )
            return  # its lease ends, and it is due again
        except Exception:  # counts like every other failure, or the event is tried for ever
            log.exception("an attempt fails on our side", event_id=event.id)
            attempt = Attempt(
                at=datetime.now(UTC), latency_seconds=0.0, error="an unexpected error on our side"
            )
        outcome, wait = self._interpret(event, attempt)
        WEBHOOK_ATTEMPTS.labels(outcome.value).inc()
        WEBHOOK_SECONDS.observe(attempt.latency_seconds)
        log.info(
            "webhook attempt",
            event_id=event.id,
            job_id=record["id"],
            request_id=record.get("request_id", ""),
            tenant=event.tenant,
            **trace_id_field(record.get("traceparent", "")),
            outcome=outcome.value,
            status_code=attempt.status_code,
            error=attempt.error,
            latency_seconds=attempt.latency_seconds,
        )
        await self._settle(event, attempt, outcome, wait, lease_end)

    async def _attempt(self, event: ClaimedEvent) -> Attempt:
        secrets = await self._store.secrets(event.tenant)
        body = await to_thread.run_sync(self._compose, event)
        return await self._sender.send(event.url, event.id, body, secrets)

    def _compose(self, event: ClaimedEvent) -> bytes:
        view = job_view(
            QueuedView(event.job, None), self._link, self._base_url, with_drawings=False
        )
        if event.job.webhook and event.job.webhook.form == "prediction":
            return prediction_view(view, self._base_url).model_dump_json().encode()
        return compose(
            f"{view.object}.{event.name}", event.created_at, view.model_dump(mode="json")
        )

    def _interpret(self, event: ClaimedEvent, attempt: Attempt) -> tuple[AttemptOutcome, timedelta]:
        """What the attempt means, and how long to wait for the next one."""
        if attempt.delivered:
            return AttemptOutcome.DELIVERED, timedelta()
        if attempt.status_code == GONE:
            return AttemptOutcome.GONE, timedelta()
        if event.tries >= len(self._waits):
            return AttemptOutcome.FAILED, timedelta()
        spread = 1 + JITTER * random.random()  # noqa: S311  # spreads load, guards nothing
        return AttemptOutcome.RETRY, self._waits[event.tries] * spread

    async def _settle(
        self,
        event: ClaimedEvent,
        attempt: Attempt,
        outcome: AttemptOutcome,
        wait: timedelta,
        lease_end: float,
    ) -> None:
        """Note the outcome, for as long as the lease lasts: unnoted, the attempt would be
        repeated.
        """
        while time.monotonic() < lease_end:
            try:
                if not await self._store.settle(event, attempt, outcome, wait):
                    log.warning(
                        "an event was deleted or taken over during its attempt", event_id=event.id
                    )
                return
            except Unavailable as error:
                log.warning(
                    "the outcome of an attempt cannot be noted yet",
                    event_id=event.id,
                    error=error.detail,
                )
                await asyncio.sleep(PATIENCE_SECONDS)


def _start_trace(event: ClaimedEvent, traceparent: str) -> Span:
    """Start an attempt's span in the trace of its job, without the address, which may be secret."""
    return start_span(
        "POST webhook",
        SpanKind.CLIENT,
        parent=traceparent,
        attributes={
            "http.request.method": "POST",
            "http.request.resend_count": event.tries,
            "tooncrafter.tenant": event.tenant,
            "tooncrafter.event": event.name,
            "tooncrafter.event.id": event.id,
        },
    )


def _finish_trace(span: Span, attempt: Attempt) -> None:
    if attempt.status_code is not None:
        span.set_attribute("http.response.status_code", attempt.status_code)
    if not attempt.delivered:
        fail(span, str(attempt.status_code or "no_answer"))
