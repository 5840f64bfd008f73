"""Provide endpoints with the caller, the services and the public address.

They are coroutines, because FastAPI runs plain functions in threads. They read the request's state
instead of other dependencies: each of those would cost as much time as a Redis command.
"""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from api.caller import Caller
from api.services.jobs import Interpolations
from api.services.predictions import Predictions
from api.services.submissions import Submissions
from api.services.uploads import Uploads
from api.services.webhooks import Webhooks
from core.errors import NotFound
from core.objects.local import LocalStorage
from core.records.job import QueuedView
from core.records.view import JobView, job_view
from core.settings import Settings
from core.store.deployment import DeploymentReader


def _of_state(name: str) -> Any:
    """Return the dependency on a member of the request's state."""

    async def read(request: Request) -> Any:
        return getattr(request.state, name)

    return Depends(read)


CurrentSettings = Annotated[Settings, _of_state("settings")]
CurrentCaller = Annotated[Caller, _of_state("caller")]
InterpolationsService = Annotated[Interpolations, _of_state("interpolations")]
CurrentSubmissions = Annotated[Submissions, _of_state("submissions")]
CurrentPredictions = Annotated[Predictions, _of_state("predictions")]
CurrentDeployment = Annotated[DeploymentReader, _of_state("deployment")]
CurrentUploads = Annotated[Uploads, _of_state("uploads")]
CurrentWebhooks = Annotated[Webhooks, _of_state("webhooks")]


async def _served_folder(request: Request) -> LocalStorage:
    if not isinstance(request.state.storage, LocalStorage):
        raise NotFound("this deployment stores in a bucket, whose own links lead there")
    return request.state.storage


def _base_url(request: Request) -> str:
    return str(request.state.settings.public_url or request.base_url).rstrip("/")


async def _gateway_url(request: Request) -> str:
    """Return the address of this gateway for callers, without a slash at the end."""
    return _base_url(request)


class CallerJobs(NamedTuple):
    """The jobs of the caller's tenant, as one dependency."""

    service: Interpolations
    tenant: str
    request: Request

    def show(self, view: QueuedView, *, with_drawings: bool = True) -> JobView:
        """Return a job with fresh links to its outputs, in lists without the plan's drawings."""
        base_url = _base_url(self.request) if view.job.outputs else ""
        return job_view(view, self.service.link, base_url, with_drawings=with_drawings)


def caller_jobs(request: Request) -> CallerJobs:
    """Return the jobs of a request's caller."""
    state = request.state
    return CallerJobs(state.interpolations, state.caller.tenant, request)


async def _caller_jobs(request: Request) -> CallerJobs:
    return caller_jobs(request)


def public_root(request: Request) -> str:
    """Return what precedes the paths of this gateway: empty without a public URL."""
    return str(request.state.settings.public_url or "").rstrip("/")


ServedFolder = Annotated[LocalStorage, Depends(_served_folder)]
Jobs = Annotated[CallerJobs, Depends(_caller_jobs)]
BaseUrl = Annotated[str, Depends(_gateway_url)]
