"""A span around each request, by the template of its route. In place only where traces are on."""

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.raw_headers import header
from api.middleware.request_metrics import KNOWN_METHODS, template_of
from core.records.request import GenerationRequest
from core.telemetry.tracing import (
    QUEUE,
    Kind,
    Span,
    on_the_queue,
    read_traceparent,
    trace_ids,
    tracer,
)

UNTRACED = frozenset({"/healthz", "/readyz"})  # asked every few seconds, and nobody wonders why
# what is less is the caller's, and no error of the span (semantic conventions of HTTP servers)
SERVER_ERROR = 500


class Tracing:
    """Goes on with the caller's trace, or begins one; whoever handles the request finds it by
    `traceparent_of`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            return await self._app(scope, receive, send)
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
        span = tracer().start(
            method,
            Kind.SERVER,
            parent=read_traceparent(Headers(scope=scope).get("traceparent", "")),
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
        )
        state = scope.setdefault("state", {})
        state["traceparent"] = span.traceparent

        # told at once, in the end: each call of the SDK takes a lock
        known: dict[str, str | int] = {}

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                known["http.response.status_code"] = message["status"]
                if message["status"] >= SERVER_ERROR:
                    span.fail(str(message["status"]))
            await send(message)

        with span, structlog.contextvars.bound_contextvars(**trace_ids(span.traceparent)):
            try:
                await self._app(scope, receive, send_noting)
            finally:
                route, caller = template_of(scope), state.get("caller")
                if route:
                    span.rename(f"{method} {route}")
                    known["http.route"] = route
                if caller:
                    known["tooncrafter.tenant"] = caller.tenant
                span.set(known | {"tooncrafter.request_id": state.get("request_id", "")})
        return None


def start_sending(job_id: str, request: GenerationRequest, traceparent: str) -> Span:
    """The span that puts a job into the queue; its workers' spans lie below it."""
    return tracer().start(
        f"send {QUEUE}",
        Kind.PRODUCER,
        parent=traceparent,
        attributes={**on_the_queue("send", job_id), "tooncrafter.priority": request.priority.value},
    )


def traceparent_of(request: Request) -> str:
    """Where a trace of what this request brings about goes on: at its span, or at the caller's
    where traces are off.
    """
    here: str = request.scope["state"].get("traceparent", "")
    if here:
        return here
    sent = header(request.scope, b"traceparent")
    return read_traceparent(sent) if sent else ""
