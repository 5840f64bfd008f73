"""The log of what a job's webhook was told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import CurrentWebhooks, InterpolationsService
from api.http.job_path import JOB, JobId
from api.schemas.jobs import PROBLEM_RESPONSE
from api.schemas.webhooks import DeliveryList

router = APIRouter(prefix="/v1/interpolations", tags=["webhooks"])


async def _existing_job(job_id: JobId, interpolations: InterpolationsService) -> str:
    return (await interpolations.get(job_id)).job.id


ExistingJob = Annotated[str, Depends(_existing_job)]
DeliveryNumber = Annotated[
    int, Path(ge=1, le=2**53, description="`n` of the delivery.", examples=[9])
]


@router.get(f"{JOB}/deliveries", responses=dict.fromkeys((404, 503), PROBLEM_RESPONSE))
async def list_deliveries(job_id: ExistingJob, webhooks: CurrentWebhooks) -> DeliveryList:
    """Every event that the job's webhook was or is to be told, with every attempt; `progress`
    leaves no trace.
    """
    return DeliveryList(data=await webhooks.deliveries(job_id))


@router.post(
    f"{JOB}/deliveries/{{n}}/redeliver",
    status_code=202,
    responses=dict.fromkeys((404, 422, 503), PROBLEM_RESPONSE),
)
async def redeliver(
    job_id: ExistingJob, n: DeliveryNumber, webhooks: CurrentWebhooks
) -> DeliveryList:
    """Tell an event anew, at once, under the same `webhook-id`; also to a receiver that is switched
    off.
    """
    await webhooks.redeliver(job_id, n)
    return DeliveryList(data=await webhooks.deliveries(job_id))
