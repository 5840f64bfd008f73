"""Serve Replicate's API, so that its clients make jobs here.

Not part of the contract: it follows what the official Python client sends and reads.
"""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, File, Header, Query, Request, UploadFile

from api.dependencies import (
    BaseUrl,
    CurrentCaller,
    CurrentDeployment,
    CurrentPredictions,
    CurrentSettings,
    CurrentUploads,
    Jobs,
)
from api.http.bodies import json_body
from api.http.parameters import JOB, MAX_WAIT_SECONDS, JobId
from api.schemas.deployment_views import model_list
from api.schemas.replicate.models import (
    FileView,
    ReplicateModelView,
    VersionPage,
    VersionView,
    file_view,
    model_view,
    version_of,
    version_view,
)
from api.schemas.replicate.predictions import PredictionBody, PredictionPage
from api.services.predictions import find_model, find_version, in_one_sentence
from core.errors import ImageTooLarge, InvalidRequest, NotFound
from core.records.ids import JOB_ID_PATTERN
from core.records.prediction import PredictionView, prediction_view
from core.store.roles.gateway import JobFilter

router = APIRouter(prefix="/v1", include_in_schema=False)

PAGE = 100
_WAIT = re.compile(r"^\s*wait(?:=(\d{1,9}))?\s*$", re.IGNORECASE)


async def _preferred_wait(prefer: Annotated[str, Header()] = "") -> timedelta | None:
    """Read `Prefer: wait` and `wait=N`; without a number it is as long as possible."""
    wanted = next(filter(None, map(_WAIT.match, prefer.split(","))), None)
    if wanted is None:
        return None
    return timedelta(seconds=min(int(wanted[1] or MAX_WAIT_SECONDS), MAX_WAIT_SECONDS))


async def _prediction(request: Request) -> PredictionBody:
    try:
        return await json_body(PredictionBody)(request)
    except InvalidRequest as error:
        raise in_one_sentence(error) from None


SentPrediction = Annotated[PredictionBody, Depends(_prediction)]
PreferredWait = Annotated[timedelta | None, Depends(_preferred_wait)]


@router.post("/predictions", status_code=201)
async def create_prediction(
    request: Request,
    body: SentPrediction,
    predictions: CurrentPredictions,
    deployment: CurrentDeployment,
    jobs: Jobs,
    base_url: BaseUrl,
    wait: PreferredWait,
) -> PredictionView:
    """Make a prediction of the model that `version` names."""
    models = model_list(await deployment.look()).data
    model = find_version(models, body.version) if body.version else None
    state = request.state
    view, _ = await predictions.create(body, model, state.caller, state.request_id)
    if wait:
        view = await jobs.service.wait_for_end(view.job.id, jobs.tenant, wait)
    state.job_id = view.job.id  # for the access log
    created = prediction_view(jobs.show(view), base_url)
    if created.status == "processing":
        # Replicate's client takes any other status of an answer that it waited for as the end.
        return created.model_copy(update={"status": "starting"})
    return created


@router.post("/models/{owner}/{name}/predictions", status_code=201)
async def create_prediction_of_model(
    owner: str,
    name: str,
    request: Request,
    body: SentPrediction,
    predictions: CurrentPredictions,
    deployment: CurrentDeployment,
    jobs: Jobs,
    base_url: BaseUrl,
    wait: PreferredWait,
) -> PredictionView:
    """Make a prediction of a model."""
    named = body.model_copy(update={"version": f"{owner}/{name}"})
    return await create_prediction(request, named, predictions, deployment, jobs, base_url, wait)


@router.get("/predictions")
async def list_predictions(
    jobs: Jobs,
    base_url: BaseUrl,
    cursor: Annotated[str | None, Query(pattern=JOB_ID_PATTERN)] = None,
) -> PredictionPage:
    """List predictions, the newest first; all jobs of the tenant are among them."""
    views, following = await jobs.service.page(jobs.tenant, JobFilter(after=cursor), PAGE)
    return PredictionPage(
        results=[prediction_view(jobs.show(view), base_url) for view in views],
        next=f"{base_url}/v1/predictions?cursor={following}" if following else None,
    )


@router.get(f"/predictions{JOB}")
async def read_prediction(job_id: JobId, jobs: Jobs, base_url: BaseUrl) -> PredictionView:
    """Return a prediction as it stands."""
    return prediction_view(jobs.show(await jobs.service.get(job_id, jobs.tenant)), base_url)


@router.post(f"/predictions{JOB}/cancel")
async def cancel_prediction(job_id: JobId, jobs: Jobs, base_url: BaseUrl) -> PredictionView:
    """Cancel a prediction; one that has ended is returned as it is."""
    return prediction_view(jobs.show(await jobs.service.cancel(job_id, jobs.tenant)), base_url)


@router.get("/models/{owner}/{name}")
async def read_model(
    owner: str, name: str, deployment: CurrentDeployment, base_url: BaseUrl
) -> ReplicateModelView:
    """Return the served model that a name means."""
    model = find_model(model_list(await deployment.look()).data, owner, name)
    return model_view(owner, name, model, f"{base_url}/v1/models/{owner}/{name}")


@router.get("/models/{owner}/{name}/versions")
async def list_versions(owner: str, name: str, deployment: CurrentDeployment) -> VersionPage:
    """List the one version of a model that is served."""
    model = find_model(model_list(await deployment.look()).data, owner, name)
    return VersionPage(results=[version_view(model)])


@router.get("/models/{owner}/{name}/versions/{version}")
async def read_version(
    owner: str, name: str, version: str, deployment: CurrentDeployment
) -> VersionView:
    """Return the served version."""
    model = find_model(model_list(await deployment.look()).data, owner, name)
    if version_of(model) != version:
        raise NotFound(f"version {version[:80]} is not served here; {version_of(model)} is")
    return version_view(model)


@router.post("/files", status_code=201)
async def create_file(
    content: Annotated[UploadFile, File()],
    uploads: CurrentUploads,
    caller: CurrentCaller,
    settings: CurrentSettings,
    base_url: BaseUrl,
) -> FileView:
    """Take an image; `urls.get` stands for it in the input of predictions."""
    if (content.size or 0) > settings.max_image:
        raise ImageTooLarge(f"a file must have at most {settings.max_image} bytes")
    upload = await uploads.create(caller)
    image = await uploads.receive(upload.id, await content.read())
    return file_view(
        upload.id,
        image,
        content.filename or "file",
        upload.vanishes_at,
        f"{base_url}/v1/files/{upload.id}",
    )
