"""What every request passes, once: its id and one line in the log, what every answer says, which
web pages may ask, who asks, limits for the body, and errors that nobody else caught. Each guard
stands in a module of its own; as middlewares around one another they cost more than all our own
work (docs/decisions/0011).
"""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.caller import Caller
from api.errors import problem_response, unexpected_response
from api.http.connections import is_crowded, refuse_crowds
from api.http.raw_headers import header
from api.middleware.authentication import Authentication, KeyEnded, KeyWatch, is_open, nothing_comes
from api.middleware.body_limits import BodyGuard, GuardedBody
from api.middleware.doorkeeper import Doorkeeper
from api.middleware.hosts import LoopbackGuard
from api.middleware.request_metrics import RequestMetrics
from api.middleware.response_headers import EXPOSED_HEADERS, add_defaults
from core.errors import BodyTooLarge, ServiceError
from core.records.ids import new_ulid
from core.settings import Settings

# printable and free of spaces: it is logged and sent back
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_CLOSED_BY_CALLER = 499  # in the log only: nobody is there to whom a status could be sent

log = structlog.get_logger("api.access")


class FrontDoor:
    """Lets requests through to endpoints. Plain ASGI, so streams pass untouched."""

    def __init__(self, app: ASGIApp, settings: Settings, direct: Sequence[APIRoute]) -> None:
        """Stand before an app.

        Args:
            app: routes what is not direct.
            settings: of the gateway.
            direct: routes whose endpoints take the bare request and answer a whole response; they
                are called from here.
        """
        self._app = app
        self._direct = direct
        doorkeeper = Doorkeeper(settings)
        self._loopback = LoopbackGuard(settings, doorkeeper)
        self._authentication = Authentication(doorkeeper)
        self._bodies = BodyGuard(settings.max_body, settings.max_bodies, settings.body_timeout)
        self._inside: ASGIApp = self._admit
        if settings.cors_origins:
            self._inside = CORSMiddleware(
                self._admit,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
                allow_headers=["*"],
                # the operator trusts them, so they may reach a gateway at home as well
                allow_private_network=True,
                expose_headers=EXPOSED_HEADERS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        passage = Passage(scope, send)
        bound = bind_contextvars(request_id=passage.request_id)
        try:
            refuse_crowds(scope)
            await self._loopback.check(scope)
            await self._inside(scope, receive, passage.send)
        except ServiceError as error:
            if passage.begun:
                raise
            await problem_response(error, passage.request_id)(scope, receive, passage.send)
        finally:
            passage.end()
            reset_contextvars(**bound)
        return None

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who may pass is served; whatever is raised is answered, unless an answer has begun."""
        passage: Passage = scope["state"]["passage"]
        passage.inner_send = send
        try:
            if not is_open(scope["path"]):
                passage.headers += await self._authentication.admit(scope)
                passage.watch = KeyWatch(scope, self._authentication)
            body = passage.body = self._bodies.watch(scope, receive)
            try:
                await self._serve(scope, body.receive if body else receive, send)
            finally:
                if body:
                    body.forget()
        except (ClientDisconnect, KeyEnded):
            return  # amid its own body, or of the answer to an ended key: nobody hears
        except Exception as error:
            if passage.key_ended:  # whatever an endpoint made of it
                return
            if passage.begun:
                raise  # all that is left is to break off
            # nobody will read what comes nevertheless
            passage.closes |= isinstance(error, BodyTooLarge)
            await _answer_to(error, passage.request_id)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self._direct:
            if scope["method"] in (route.methods or ()) and (
                match := route.path_regex.match(scope["path"])
            ):
                scope["route"], scope["path_params"] = route, match.groupdict()
                response = await route.endpoint(Request(scope, receive, send))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _answer_to(error: Exception, request_id: str) -> Response:
    return (
        problem_response(error, request_id)
        if isinstance(error, ServiceError)
        else unexpected_response(error, request_id)
    )


class Passage:
    """One request on its way, and what its answer is given on the way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        sent = header(scope, b"x-request-id")
        self.request_id = sent if sent and _REQUEST_ID.fullmatch(sent) else new_ulid()
        self.headers: list[tuple[bytes, bytes]] = []  # for the answer, beside what it says itself
        self.closes = is_crowded(scope)  # the connection, behind the answer
        self.body: GuardedBody | None = None
        self.watch: KeyWatch | None = None
        self.key_ended = self.begun = False
        self.inner_send: Send = self.send  # through what web pages of other sites are told
        self._scope, self._send = scope, send
        self._status, self._metrics = _CLOSED_BY_CALLER, RequestMetrics()
        scope.setdefault("state", {}).update(request_id=self.request_id, passage=self)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, or end the answer to a key that has ended."""
        if self.key_ended:
            raise KeyEnded
        if self.watch and self.watch.is_due:
            await self._look_at_key()
        self.begun = True
        if message["type"] == "http.response.start":
            self._complete(message)
        await self._send(message)

    def end(self) -> None:
        """The answer has ended: count it and write a line."""
        scope, seconds = self._scope, round(self._metrics.end(self._scope, self._status), 4)
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=self._status,
            seconds=seconds,
            **_whose(scope["state"]),
        )

    def _complete(self, message: Message) -> None:
        status, headers = message["status"], message["headers"]
        if self.body:
            self.body.answered = True
        if self.watch and status < 300 and any(name == b"content-length" for name, _ in headers):
            self.watch = None  # what was begun with a valid key is finished
        if self.closes or (self.body and self.body.refused):
            MutableHeaders(raw=headers)["Connection"] = "close"
        headers += self.headers
        add_defaults(headers)
        headers.append((b"x-request-id", self.request_id.encode()))
        self._status = status

    async def _look_at_key(self) -> None:
        """A long answer ends soon after its caller's key."""
        watch, self.watch = self.watch, None
        error = await watch.look() if watch else None
        if error is None:
            self.watch = watch
            return
        if self.begun:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await problem_response(error, self.request_id)(
                self._scope, nothing_comes, self.inner_send
            )
        self.key_ended = True
        raise KeyEnded from error


def _whose(state: dict[str, Any]) -> dict[str, str]:
    """The caller, by names that are no secret, and the job that it brought."""
    caller: Caller | None = state.get("caller")
    who = {"tenant": caller.tenant} if caller else {}
    if caller and caller.key:
        who["key"] = caller.key.id
    if job_id := state.get("job_id"):
        who["job_id"] = job_id
    return who
