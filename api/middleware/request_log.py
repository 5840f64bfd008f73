"""Give each request an id, a span, metrics, response headers and one log line."""

import re
import time
from itertools import product
from typing import Any

import structlog
from fastapi.routing import APIRoute
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from api.caller import Caller
from api.errors import answer_unexpected
from core.records.ids import new_ulid
from core.telemetry.metrics import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT
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
CLOSED_BY_CLIENT = 499  # status in log and metrics of a request whose client went away
UNKNOWN_ROUTE = "none"  # label of a path that no route takes: paths that callers invent are none
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})

# printable and without spaces, because the id is logged and sent back
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

# for browsers and caches, unless an endpoint sets its own
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses hold ids and signatures
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # a job's state changes at any time and belongs to one tenant
}
_RAW_DEFAULTS = [(name.lower().encode(), text.encode()) for name, text in DEFAULT_HEADERS.items()]

log = structlog.get_logger("api.access")


def route_template(scope: Scope) -> str | None:
    """Return the path of the matched route as the contract spells it, or None."""
    template: str | None = getattr(scope.get("route"), "path_format", None)
    return template


def show_at_zero(route: APIRoute) -> None:
    """Make a series of each answer that a route documents, so that its first one is an increase."""
    statuses = {str(route.status_code or 200), *map(str, route.responses)}
    for method, status in product(KNOWN_METHODS.intersection(route.methods or ()), statuses):
        REQUESTS.labels(method, route.path_format, status)


class RequestLog:
    """Continues the caller's trace or starts one; `state["traceparent"]` names the span.

    Also answers exceptions that nothing inside handled.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status = time.perf_counter(), CLOSED_BY_CLIENT
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        request_id = state["request_id"] = _request_id(headers.get("x-request-id"))
        span = _start_span(scope, headers.get("traceparent"))
        state["traceparent"] = traceparent_of(span)

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message["headers"], request_id)
            await send(message)

        REQUESTS_IN_FLIGHT.inc()
        with ending(span), bound_contextvars(request_id=request_id, **span_fields(span)):
            try:
                await self._app(scope, receive, send_completed)
            except ClientDisconnect:
                pass  # the client went away while it sent its body
            except Exception as error:
                if status != CLOSED_BY_CLIENT:
                    raise  # the response has begun: the server closes the connection
                await answer_unexpected(error, scope, receive, send_completed)
            finally:
                REQUESTS_IN_FLIGHT.dec()
                _record(scope, status, time.perf_counter() - begun)
                _describe(span, scope, status)
        return None


def _request_id(sent: str | None) -> str:
    return sent if sent and _REQUEST_ID.fullmatch(sent) else new_ulid()


def _start_span(scope: Scope, sent: str | None) -> Span:
    if scope["path"] in UNTRACED:
        return INVALID_SPAN
    parent = read_traceparent(sent) if sent else ""
    return start_span(_method(scope), SpanKind.SERVER, parent=parent)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Name a span by the template of its route, and say what came of the request."""
    state, route = scope["state"], route_template(scope)
    about: dict[str, str | int] = {
        "http.request.method": _method(scope),
        "url.scheme": scope["scheme"],
        "tooncrafter.request_id": state["request_id"],
    }
    if status != CLOSED_BY_CLIENT:
        about["http.response.status_code"] = status
    if status >= SERVER_ERROR:
        fail(span, str(status))
    if route:
        span.update_name(f"{_method(scope)} {route}")
        about["http.route"] = route
    if caller := state.get("caller"):
        about["tooncrafter.tenant"] = caller.tenant
    span.set_attributes(about)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in KNOWN_METHODS else "_OTHER"


def _complete(headers: list[tuple[bytes, bytes]], request_id: str) -> None:
    present = {name for name, _ in headers}
    headers += [header for header in _RAW_DEFAULTS if header[0] not in present]
    headers.append((b"x-request-id", request_id.encode()))


def _record(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
    route = route_template(scope) or UNKNOWN_ROUTE
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)
    log.info(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        seconds=round(seconds, 4),
        **_identities(scope["state"]),
    )


def _identities(state: dict[str, Any]) -> dict[str, str]:
    """Name tenant, key and job by ids, none of which is secret."""
    caller: Caller | None = state.get("caller")
    identities = {"tenant": caller.tenant} if caller else {}
    if caller and caller.key:
        identities["key"] = caller.key.id
    if job_id := state.get("job_id"):
        identities["job_id"] = job_id
    return identities
