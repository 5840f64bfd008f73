"""What endpoints ask for. All are coroutines: FastAPI calls a plain function through a thread, at 100 µs each."""

from typing import Annotated

from fastapi import Depends, Request

from api.caller import Caller
from api.service import Interpolations
from api.uploads import Uploads
from api.webhooks import Webhooks
from core.deployment import AsyncDeployment
from core.errors import NotFound
from core.local_storage import LocalStorage
from core.settings import Settings


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CurrentCaller = Annotated[Caller, Depends(_caller)]


async def _service(request: Request) -> Interpolations:
    service: Interpolations = request.state.interpolations
    return service


async def _interpolations(request: Request, caller: CurrentCaller) -> Interpolations:
    return (await _service(request)).of(caller)


async def _deployment(request: Request) -> AsyncDeployment:
    deployment: AsyncDeployment = request.state.deployment
    return deployment


async def _uploads(request: Request) -> Uploads:
    uploads: Uploads = request.state.uploads
    return uploads


async def _webhooks(request: Request) -> Webhooks:
    webhooks: Webhooks = request.state.webhooks
    return webhooks


async def _served_folder(request: Request) -> LocalStorage:
    if not isinstance(request.state.storage, LocalStorage):
        raise NotFound("this deployment stores in a bucket, whose own links lead there")
    return request.state.storage


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


WholeService = Annotated[Interpolations, Depends(_service)]  # for what asks for no caller
InterpolationsService = Annotated[Interpolations, Depends(_interpolations)]
CurrentDeployment = Annotated[AsyncDeployment, Depends(_deployment)]
CurrentWebhooks = Annotated[Webhooks, Depends(_webhooks)]
CurrentUploads = Annotated[Uploads, Depends(_uploads)]
ServedFolder = Annotated[LocalStorage, Depends(_served_folder)]
CurrentSettings = Annotated[Settings, Depends(_settings)]
BaseUrl = Annotated[str, Depends(_base_url)]
RequestIdentity = Annotated[str, Depends(_request_id)]
