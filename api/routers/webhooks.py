"""Send test events to receivers; list and repeat the deliveries of a job."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import CurrentCaller, CurrentWebhooks, Jobs
from api.http.answers import json_body_doc, problems
from api.http.bodies import json_body
from api.http.parameters import JOB, JobId, KnownQueryRoute
from api.schemas.webhooks import DeliveryList, WebhookTestBody, WebhookTestView

router = APIRouter(prefix="/v1", tags=["webhooks"], route_class=KnownQueryRoute)

_BODY_DOC = json_body_doc("WebhookTestBody", required=True)


async def _existing_job(job_id: JobId, jobs: Jobs) -> str:
    return (await jobs.service.get(job_id, jobs.tenant)).job.id


ExistingJob = Annotated[str, Depends(_existing_job)]
DeliveryNumber = Annotated[
    int, Path(ge=1, le=2**53, description="`n` of the delivery.", examples=[9])
]


@router.post("/webhooks/test", openapi_extra=_BODY_DOC, responses=problems(400, 415, 422, 429, 503))
async def test_webhook(
    body: Annotated[WebhookTestBody, Depends(json_body(WebhookTestBody))],
    webhooks: CurrentWebhooks,
    caller: CurrentCaller,
) -> WebhookTestView:
    """Send a signed `webhook.test` event now, once, and return the outcome.

    A receiver that was switched off, after days of failure or a 410, is switched on by a success.
    """
    event_id, attempt, switched_on = await webhooks.test(body.url, caller.tenant)
    return WebhookTestView(
        id=event_id, delivered=attempt.delivered, switched_on=switched_on, **attempt.model_dump()
    )


@router.get(f"/interpolations{JOB}/deliveries", responses=problems(404, 503))
async def list_deliveries(job_id: ExistingJob, webhooks: CurrentWebhooks) -> DeliveryList:
    """List the events for the job's webhook, with every attempt; `progress` is not logged."""
    return DeliveryList(data=await webhooks.deliveries(job_id))


@router.post(
    f"/interpolations{JOB}/deliveries/{{n}}/redeliver",
    status_code=202,
    responses=problems(404, 422, 503),
)
async def redeliver(
    job_id: ExistingJob, n: DeliveryNumber, webhooks: CurrentWebhooks
) -> DeliveryList:
    """Send an event again, at once, under the same `webhook-id`.

    A receiver that is switched off gets it as well.
    """
    await webhooks.redeliver(job_id, n)
    return DeliveryList(data=await webhooks.deliveries(job_id))
