"""The way to endpoints that are called most often.

FastAPI resolves each parameter of an endpoint at each call, for 15 to 20 µs; with the parameters of
a poll that took longer than all its work, and finding the endpoint took half as long. These
endpoints read what they need from the request itself, and the front door calls them. Their
parameters stand in a function among the route's `dependencies`, which documents them
(docs/decisions/0007).
"""

from fastapi import APIRouter
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """Its endpoint takes the bare request and answers a whole response."""


def direct_routes(router: APIRouter) -> list[APIRoute]:
    """Those of a router whose prefix is its own, in their order."""
    return [route for route in router.routes if isinstance(route, DirectRoute)]
