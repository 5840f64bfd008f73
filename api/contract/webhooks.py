"""The messages that receivers get, as the contract shows them (OpenAPI 3.1, `webhooks`)."""

from typing import Any

from core.records.webhook import TIME_LIMIT, WebhookEvent

_HEADERS = {
    "webhook-id": "Names the event: the same for all attempts at it.",
    "webhook-timestamp": "Seconds since the epoch at which this attempt was made.",
    "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`, once for each "
    "valid secret, "
    "separated by spaces.",
}


def webhook_section() -> dict[str, Any]:
    """One message for all events; the schema of a job has to be among the components."""
    properties = {
        "type": {
            "type": "string",
            "enum": [f"interpolation.{event.value}" for event in WebhookEvent],
        },
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": {"$ref": "#/components/schemas/JobView"},
    }
    message = {"type": "object", "required": list(properties), "properties": properties}
    operation = {
        "operationId": "interpolation_event",
        "tags": ["webhooks"],
        "summary": "An event of a job",
        "description": "Sent to the `webhook` of a job, signed as Standard Webhooks 1.0.0 says; "
        "`data.version` orders "
        f"events. Answer within {TIME_LIMIT.total_seconds():g} s; redirects are not followed.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": meaning,
                "schema": {"type": "string"},
            }
            for name, meaning in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": message}}},
        "responses": {
            "2XX": {"description": "Understood; it is not sent again."},
            "410": {"description": "Neither this event nor another is wanted at this address."},
            "default": {"description": "It is tried again, over three days."},
        },
    }
    return {"interpolation": {"post": operation}}
