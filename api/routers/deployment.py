"""Report the models of live workers and the queue."""

from fastapi import APIRouter

from api.dependencies import CurrentCaller, CurrentDeployment
from api.http.answers import problems
from api.http.parameters import KnownQueryRoute
from api.schemas.deployment import ModelList, QueueView
from api.schemas.deployment_views import model_list, queue_view

router = APIRouter(
    prefix="/v1", tags=["deployment"], responses=problems(503), route_class=KnownQueryRoute
)


@router.get("/models")
async def models(deployment: CurrentDeployment) -> ModelList:
    """List the models of the live workers, with the sizes and limits of a job."""
    return model_list(await deployment.look())


@router.get("/queue")
async def queue(deployment: CurrentDeployment, caller: CurrentCaller) -> QueueView:
    """Tell how many jobs wait in each lane and for how long, and what the workers do."""
    return queue_view(await deployment.look(caller.tenant))
