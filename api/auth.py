"""Every call proves who makes it, before its body is read. Plain ASGI.

What is open to all tells nothing of anybody: health, the contract, error pages, and files, where a signature stands for
a key. Everything else needs a scope, addresses that do not exist included.
"""

import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from api.doorkeeper import TRUST, Doorkeeper
from api.errors import problem_response
from api.rates import READS, SUBMISSIONS, Rates
from core.api_keys import Scope
from core.errors import ServiceError, Unavailable

_OPEN = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
_OPEN_BELOW = ("/files/", "/docs/", "/errors/")
_SUBMISSION = ("POST", "/v1/interpolations")
_READ_BY_POST = frozenset({"/v1/interpolations/estimate"})


def is_open(path: str) -> bool:
    """Whether a path asks for no key at any gateway."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def needed_scope(method: str, path: str) -> Scope:
    """What a call needs: to read where it changes nothing, else to submit."""
    return Scope.READ if method in {"GET", "HEAD"} or path in _READ_BY_POST else Scope.SUBMIT


def rate_policy(method: str, path: str) -> str:
    """Which of a tenant's rates a call counts for."""
    return SUBMISSIONS if (method, path) == _SUBMISSION else READS


class _KeyEnded(OSError):
    """To whoever sends: nobody may hear it any more. As where a connection broke."""


class Authentication:
    """Refuses who may not call (401, 403, 429) and tells requests who calls; a long answer ends with its key."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._rates = Rates()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            return await self._app(scope, receive, send)
        state, method, path = scope["state"], scope["method"], scope["path"]
        try:
            caller = state["caller"] = await self._doorkeeper.identify(scope, state["api_keys"])
            caller.need(needed_scope(method, path))
            headers = await self._rates.admit(caller, rate_policy(method, path), state["rates"])
        except ServiceError as error:
            return await problem_response(error, state["request_id"])(scope, receive, send)
        answer = _Answer(scope, send, headers, self._doorkeeper)
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            if not answer.ended:
                raise
        return None


class _Answer:
    """An answer that may take long: it ends soon after its caller's key."""

    def __init__(self, scope: AsgiScope, send: Send, headers: dict[str, str], doorkeeper: Doorkeeper) -> None:
        self._scope, self._send, self._headers, self._doorkeeper = scope, send, headers, doorkeeper
        self._looked = time.monotonic()
        self._begun = self._counted = False
        self.ended = False

    async def send(self, message: Message) -> None:
        """Pass a part on, or end the answer."""
        if self.ended:
            raise _KeyEnded
        if not self._counted and time.monotonic() - self._looked > TRUST.total_seconds():
            await self._look_again()
        if message["type"] == "http.response.start":
            self._begun = True
            headers = MutableHeaders(scope=message)
            headers.update(self._headers)
            self._counted = "content-length" in headers and message["status"] < 300  # begun with a valid key
        await self._send(message)

    async def _look_again(self) -> None:
        state = self._scope["state"]
        try:
            await self._doorkeeper.identify(self._scope, state["api_keys"])
        except Unavailable:
            pass
        except ServiceError as error:
            self.ended = True
            if self._begun:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await problem_response(error, state["request_id"])(self._scope, _nothing_comes, self._send)
            raise _KeyEnded from error
        self._looked = time.monotonic()


async def _nothing_comes() -> Message:
    return {"type": "http.disconnect"}
