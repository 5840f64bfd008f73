"""What waits, and how long."""

from fastapi import APIRouter

from api.dependencies import CurrentCaller, CurrentDeployment
from api.schemas.deployment import QueueView
from api.schemas.deployment_views import queue_view
from api.schemas.jobs import PROBLEM_RESPONSE

router = APIRouter(prefix="/v1/queue", tags=["deployment"])


@router.get("", responses={503: PROBLEM_RESPONSE})
async def queue(deployment: CurrentDeployment, caller: CurrentCaller) -> QueueView:
    """How many jobs wait in each lane and for how long, and what the workers do."""
    return queue_view(await deployment.look(caller.tenant))
