"""What endpoints ask for. All are coroutines: FastAPI calls a plain function through a thread, at 100 µs each."""

from typing import Annotated

from fastapi import Depends, Request

from api.service import Interpolations
from core.settings import Settings


async def _interpolations(request: Request) -> Interpolations:
    service: Interpolations = request.state.interpolations
    return service


async def _settings(request: Request) -> Settings:
    settings: Settings = request.state.settings
    return settings


async def _base_url(request: Request) -> str:
    """The address under which the caller reaches this gateway, without a slash at the end."""
    settings: Settings = request.state.settings
    return str(settings.public_url or request.base_url).rstrip("/")


async def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


InterpolationsService = Annotated[Interpolations, Depends(_interpolations)]
CurrentSettings = Annotated[Settings, Depends(_settings)]
BaseUrl = Annotated[str, Depends(_base_url)]
RequestIdentity = Annotated[str, Depends(_request_id)]
