"""Whether a receiver works."""

from typing import Any

from fastapi import APIRouter, Request

from api.dependencies import CurrentCaller, CurrentWebhooks
from api.http.bodies import read_json
from api.schemas.jobs import PROBLEM_RESPONSE
from api.schemas.webhooks import WebhookTestBody, WebhookTestView

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

_BODY_DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/WebhookTestBody"}}
        },
    }
}


@router.post(
    "/test",
    openapi_extra=_BODY_DOC,
    responses=dict.fromkeys((400, 415, 422, 429, 503), PROBLEM_RESPONSE),
)
async def test_webhook(
    request: Request, webhooks: CurrentWebhooks, caller: CurrentCaller
) -> WebhookTestView:
    """Send a signed `webhook.test` event now, once, and say what came of it.

    A success switches a receiver on again that was switched off after days of failure or a 410.
    """
    body = await read_json(request, WebhookTestBody)
    event_id, attempt, switched_on = await webhooks.test(body.url, caller.tenant)
    return WebhookTestView(
        id=event_id, delivered=attempt.delivered, switched_on=switched_on, **attempt.model_dump()
    )
