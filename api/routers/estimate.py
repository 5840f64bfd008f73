"""What a submission would do, before it is made."""

from fastapi import APIRouter, Request

from api.contract.submission import SUBMISSION_DOC
from api.dependencies import CurrentCaller, CurrentDeployment, CurrentSettings, CurrentSubmissions
from api.http.bodies import read_submission
from api.schemas.deployment import EstimateView
from api.schemas.deployment_views import estimate_view
from api.schemas.jobs import PROBLEM_RESPONSE

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"])


@router.post(
    "/estimate",
    openapi_extra=SUBMISSION_DOC,
    responses=dict.fromkeys((400, 413, 415, 422, 503), PROBLEM_RESPONSE),
)
async def estimate(
    request: Request,
    submissions: CurrentSubmissions,
    deployment: CurrentDeployment,
    caller: CurrentCaller,
    settings: CurrentSettings,
) -> EstimateView:
    """Judge a submission as `POST /v1/interpolations` does, images included, and say what it would
    take.

    Nothing is stored or run.
    """
    submission = await read_submission(request, max_image=settings.max_image)
    understood = await submissions.understand(submission)
    return estimate_view(understood.request, await deployment.look(caller.tenant))
