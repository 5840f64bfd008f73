"""Convert job records to and from Redis hashes: flat text fields, JSON inside."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from core.errors import JobFailed, Unavailable
from core.records.base import SCHEMA_VERSION, from_milliseconds
from core.records.job import Caution, Failure, Job, QueuedView
from core.records.request import GenerationRequest
from core.records.webhook import Webhook

_JSON_FIELDS = (
    "request",
    "progress",
    "outputs",
    "error",
    "timing",
    "model",
    "metadata",
    "uploads",
    "webhook",
    "warnings",
)
_TIME_FIELDS = {
    "created": "created_at",
    "started": "started_at",
    "requeued": "requeued_at",
    "finished": "finished_at",
    "expires": "expires_at",
    "cancel_requested": "cancel_requested_at",
}


_MILLISECOND = timedelta(milliseconds=1)


def parse_job(fields: Mapping[str, str]) -> Job:
    """The record from its Redis hash. Parts that a newer version added are left where they are, in
    Redis.

    Raises:
        Unavailable: a version of the service wrote it that is no neighbour of this one, or in words
            only it knows.
    """
    schema = int(fields["schema"])
    if abs(schema - SCHEMA_VERSION) > 1:
        wanted = f"{SCHEMA_VERSION - 1} to {SCHEMA_VERSION + 1}"
        raise Unavailable(
            f"the record of job {fields['id']} has schema {schema} but this process reads {wanted}"
        )
    values: dict[str, Any] = dict(fields)
    values.update({name: json.loads(fields[name]) for name in _JSON_FIELDS if fields.get(name)})
    values.update(
        {
            new: from_milliseconds(int(fields[old]))
            for old, new in _TIME_FIELDS.items()
            if old in fields
        }
    )
    try:
        return Job.model_validate(
            {name: value for name, value in values.items() if value != "" or name == "request_id"}
        )
    except ValidationError as error:
        if schema <= SCHEMA_VERSION:
            raise
        raise Unavailable(
            f"job {fields['id']} asks for something that only a newer gateway can show"
        ) from error


def parse_view(answer: list[Any]) -> QueuedView | None:
    """What the scripts' `view` answers: the position or -1, then the record, which may be
    missing.
    """
    position, *flat = answer
    return QueuedView(parse_job(pairs(flat)), None if position < 0 else position) if flat else None


def submission_fields(
    request: GenerationRequest,
    metadata: Mapping[str, str],
    request_id: str,
    webhook: Webhook | None,
    warnings: Sequence[Caution],
    traceparent: str,
) -> list[str]:
    """What a new record holds beside what the script itself knows."""
    return [
        *("request", request.model_dump_json()),
        *("metadata", json.dumps(dict(metadata))),
        *("request_id", request_id),
        *("canvas_pixels", str(request.width * request.height)),
        *(("webhook", webhook.model_dump_json()) if webhook else ()),
        *(
            ("warnings", json.dumps([warning.model_dump() for warning in warnings]))
            if warnings
            else ()
        ),
        *(("traceparent", traceparent) if traceparent else ()),
    ]


def failure_field(error: JobFailed) -> str:
    """An error as the record stores it."""
    return Failure(code=error.code, detail=error.detail).model_dump_json()


def milliseconds(duration: timedelta) -> int:
    """Return a duration as Redis holds it."""
    return round(duration / _MILLISECOND)


def argument(value: Any) -> Any:
    """Return a value as the scripts take it: no value is '', a duration is in milliseconds."""
    if value is None:
        return ""
    return milliseconds(value) if isinstance(value, timedelta) else value


def pairs(flat: list[str]) -> dict[str, str]:
    """Return a hash from a script's answer: field, value, field, value."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
