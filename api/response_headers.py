"""What every answer says to browsers and caches, unless an endpoint said it already. Plain ASGI."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # addresses hold ids and signatures
    "Content-Security-Policy": "frame-ancestors 'none'",  # a page of ours says more by itself
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # a job's state is old at once, and nobody else's business
}


class ResponseHeaders:
    """Adds the defaults to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._defaults = [(name.lower().encode(), value.encode()) for name, value in DEFAULTS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_defaults(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                message["headers"] += [default for default in self._defaults if default[0] not in said]
            await send(message)

        await self._app(scope, receive, send_with_defaults if scope["type"] == "http" else send)
