"""Identify the caller and apply its rate limits before the body is read."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.caller import Caller
from api.errors import answer_problem
from core.errors import ServiceError
from core.store.tenants import api_keys

_OPEN = frozenset({"/healthz", "/readyz", "/openapi.json", "/openapi.yaml", "/docs"})
_OPEN_BELOW = ("/files/", "/docs/", "/errors/")
_READ_BY_POST = frozenset({"/v1/interpolations/estimate"})


def is_open(path: str) -> bool:
    """Return whether a path never asks for a key: health, contract, and signed links."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def needed_scope(method: str, path: str) -> api_keys.Scope:
    """Return the scope of a call: `read` if it changes nothing, else `submit`."""
    reads = method in {"GET", "HEAD"} or path in _READ_BY_POST
    return api_keys.Scope.READ if reads else api_keys.Scope.SUBMIT


class Authentication:
    """Answers 401, 403 or 429, or notes the caller in the request's state.

    Paths that do not exist ask for a key as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            return await self._app(scope, receive, send)
        try:
            rate_headers = await self._admit(scope)
        except ServiceError as error:
            return await answer_problem(error, scope, receive, send)

        async def send_with_rates(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(rate_headers)
            await send(message)

        return await self._app(scope, receive, send_with_rates if rate_headers else send)

    async def _admit(self, scope: Scope) -> dict[str, str]:
        state, method, path = scope["state"], scope["method"], scope["path"]
        address = (scope.get("client") or ("",))[0]
        sent = Headers(scope=scope).getlist("authorization")
        caller: Caller = await state["key_cache"].identify(sent, address)
        state["caller"] = caller
        caller.need(needed_scope(method, path))
        submits = (method, path) == ("POST", "/v1/interpolations")
        headers: dict[str, str] = await state["rate_limits"].admit(caller, submits=submits)
        return headers
