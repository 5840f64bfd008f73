"""What stands around the router; what is added last lies outermost."""

from fastapi import FastAPI

from api.http.direct import direct_routes
from api.middleware.front_door import FrontDoor
from api.middleware.tracing import Tracing
from api.routers import submit_and_read
from core.settings import Settings


def install_middleware(app: FastAPI, settings: Settings) -> None:
    """Surround an app."""
    app.add_middleware(FrontDoor, settings=settings, direct=direct_routes(submit_and_read.router))
    if settings.traces:
        app.add_middleware(Tracing)
