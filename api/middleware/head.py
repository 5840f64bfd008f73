"""Answer HEAD on every GET route (RFC 9110, section 9.3.2)."""

from anyio import CancelScope
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Runs the GET endpoint and ends it once the head of its response is there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)
        inner = {**scope, "method": "GET"}
        inner["state"]["is_head"] = True
        with CancelScope() as endpoint:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await send(message)
                    await send({"type": "http.response.body", "body": b""})
                    endpoint.cancel()  # it may be an event stream, or a large file

            await self._app(inner, receive, send_head)
        if "route" in inner:
            scope["route"] = inner["route"]  # for metrics and traces
        return None
