"""The way to endpoints that are called most often.

FastAPI resolves each parameter of an endpoint at each call, for 15 to 20 µs; with the parameters of a poll that took
longer than all its work. These endpoints read what they need from the request itself. Their parameters stand in a
function among the route's `dependencies`, which documents them and is never called (docs/decisions/0007).
"""

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """Hands the bare request to an endpoint that answers a whole response."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Errors are answered by the application's handlers, as those of other routes are."""
        if scope["method"] not in (self.methods or ()):
            return await super().handle(scope, receive, send)
        response = await self.endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
        return None
