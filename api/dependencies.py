"""What endpoints ask for. FastAPI awaits each; a plain function it would call through a thread, at
100 µs each.
"""

from typing import Annotated

from fastapi import Depends, Request

from api.caller import Caller
from api.services.job_bodies import JobBodies
from api.services.jobs import Interpolations
from api.services.submissions import Submissions
from api.services.uploads import Uploads
from api.services.webhooks import Webhooks
from core.errors import NotFound
from core.objects.local import LocalStorage
from core.settings import Settings
from core.store.deployment import AsyncDeployment


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CurrentCaller = Annotated[Caller, Depends(_caller)]


async def _service(request: Request) -> Interpolations:
    service: Interpolations = request.state.interpolations
    return service


def interpolations_of(request: Request) -> Interpolations:
    """The jobs of whoever calls."""
    state = request.scope["state"]
    service: Interpolations = state["interpolations"]
    return service.of(state["caller"])


async def _interpolations(request: Request) -> Interpolations:
    return interpolations_of(request)


def submissions_of(request: Request) -> Submissions:
    """What whoever calls may submit."""
    state = request.scope["state"]
    submissions: Submissions = state["submissions"]
    return submissions.of(state["caller"])


async def _submissions(request: Request) -> Submissions:
    return submissions_of(request)


def job_bodies_of(request: Request) -> JobBodies:
    """Jobs as JSON."""
    bodies: JobBodies = request.scope["state"]["job_bodies"]
    return bodies


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


def base_url_of(request: Request) -> str:
    """The address under which the caller reaches this gateway, without a slash at the end."""
    settings: Settings = request.state.settings
    return str(settings.public_url or request.base_url).rstrip("/")


async def _base_url(request: Request) -> str:
    return base_url_of(request)


WholeService = Annotated[Interpolations, Depends(_service)]  # for what asks for no caller
InterpolationsService = Annotated[Interpolations, Depends(_interpolations)]
CurrentSubmissions = Annotated[Submissions, Depends(_submissions)]
CurrentDeployment = Annotated[AsyncDeployment, Depends(_deployment)]
CurrentWebhooks = Annotated[Webhooks, Depends(_webhooks)]
CurrentUploads = Annotated[Uploads, Depends(_uploads)]
ServedFolder = Annotated[LocalStorage, Depends(_served_folder)]
CurrentSettings = Annotated[Settings, Depends(_settings)]
BaseUrl = Annotated[str, Depends(_base_url)]
