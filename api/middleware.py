"""Around every request, from the outside in: its id and one line in the log, what every answer says, which web pages
may ask, errors that nobody else caught, who asks, and limits for the body. Plain ASGI, so streams pass untouched.
"""

import re

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.auth import Authentication
from api.caller import Caller
from api.connections import CrowdGuard
from api.doorkeeper import Doorkeeper
from api.errors import unexpected_response
from api.loopback import LoopbackGuard
from api.request_bodies import BodyGuard
from api.request_metrics import RequestMetrics
from api.response_headers import ResponseHeaders
from api.tracing import Tracing
from core.settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")  # printable and free of spaces: it is logged and sent back
_CLOSED_BY_CALLER = 499  # in the log only: nobody is there to whom a status could be sent

# what scripts of other sites may read of an answer, beside what browsers show them anyway
EXPOSED_HEADERS = (
    "Accept-Ranges", "Content-Range", "ETag", "Idempotent-Replayed", "Link", "Location", "Preference-Applied",
    "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID",
)  # fmt: skip

log = structlog.get_logger("api.access")


def install_middleware(app: FastAPI, settings: Settings) -> None:
    """Surround an app; what is added last lies outermost."""
    doorkeeper = Doorkeeper(settings)

    async def asks_for_no_key(scope: Scope) -> bool:
        return await doorkeeper.asks_for_no_key(scope["state"]["api_keys"])

    app.add_middleware(
        BodyGuard,
        max_bytes=settings.max_body,
        max_bytes_of_all=settings.max_bodies,
        patience=settings.body_timeout,
    )
    app.add_middleware(Authentication, doorkeeper=doorkeeper)
    app.add_middleware(UnexpectedErrors)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            allow_private_network=True,  # the operator trusts them, so they may reach a gateway at home as well
            expose_headers=EXPOSED_HEADERS,
        )
    public_host = settings.public_url.host if settings.public_url else None
    app.add_middleware(
        LoopbackGuard,
        hosts=[*settings.gateway_names, *filter(None, [public_host])],
        origins=settings.cors_origins,
        asks_for_no_key=asks_for_no_key,
    )
    app.add_middleware(CrowdGuard)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(RequestId)
    if settings.traces:
        app.add_middleware(Tracing)


class RequestId:
    """Takes over or makes the request's id, returns it, and binds it to every log line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else str(ULID())
        scope.setdefault("state", {})["request_id"] = request_id
        status, metrics = _CLOSED_BY_CALLER, RequestMetrics()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    seconds=round(metrics.end(scope, status), 4),
                    **_whose(scope),
                )
        return None


def _whose(scope: Scope) -> dict[str, str]:
    """The caller, by names that are no secret, and the job that it brought."""
    caller: Caller | None = scope["state"].get("caller")
    who = {"tenant": caller.tenant} if caller else {}
    if caller and caller.key:
        who["key"] = caller.key.id
    if job_id := scope["state"].get("job_id"):
        who["job_id"] = job_id
    return who


class UnexpectedErrors:
    """Answers what nobody else caught: with the request's id, and with the trace logged under it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except ClientDisconnect:
            return  # amid its own body: nothing is wrong here, and nobody hears
        except Exception as error:
            if begun or scope["type"] != "http":
                raise  # all that is left is to break off
            await unexpected_response(error, scope["state"]["request_id"])(scope, receive, send)
