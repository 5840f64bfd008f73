"""What the live workers hold."""

from fastapi import APIRouter

from api.dependencies import CurrentDeployment
from api.schemas.deployment import ModelList
from api.schemas.deployment_views import model_list
from api.schemas.jobs import PROBLEM_RESPONSE

router = APIRouter(prefix="/v1/models", tags=["deployment"])


@router.get("", responses={503: PROBLEM_RESPONSE})
async def models(deployment: CurrentDeployment) -> ModelList:
    """The models of the live workers, with the sizes and limits of a job."""
    return model_list(await deployment.look())
