"""Open a span for each request, named by the template of its route."""

import structlog
from opentelemetry.trace import SpanKind
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.request_log import KNOWN_METHODS, route_template
from core.telemetry.tracing import (
    ending,
    fail,
    read_traceparent,
    span_fields,
    start_span,
    traceparent_of,
)

UNTRACED = frozenset({"/healthz", "/readyz"})  # probes come every few seconds
SERVER_ERROR = 500  # OpenTelemetry's HTTP conventions: a lower status is no error of the server


class Tracing:
    """Continues the caller's trace or starts one; `state["traceparent"]` names the span.

    It wraps `RequestLog`, so that the access log can include the span's id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            return await self._app(scope, receive, send)
        state = scope.setdefault("state", {})
        sent = Headers(scope=scope).get("traceparent")
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "_OTHER"
        known: dict[str, str | int] = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
        }
        span = start_span(method, SpanKind.SERVER, parent=read_traceparent(sent) if sent else "")
        state["traceparent"] = traceparent_of(span)

        async def send_noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                known["http.response.status_code"] = message["status"]
                if message["status"] >= SERVER_ERROR:
                    fail(span, str(message["status"]))
            await send(message)

        with ending(span), structlog.contextvars.bound_contextvars(**span_fields(span)):
            try:
                await self._app(scope, receive, send_noting)
            finally:
                known["tooncrafter.request_id"] = state["request_id"]
                if route := route_template(scope):
                    span.update_name(f"{method} {route}")
                    known["http.route"] = route
                if caller := state.get("caller"):
                    known["tooncrafter.tenant"] = caller.tenant
                span.set_attributes(known)
        return None
