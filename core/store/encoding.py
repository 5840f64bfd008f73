"""Convert job records to and from Redis hashes: flat text fields, JSON inside."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from core.errors import JobFailed, Unavailable
from core.records.base import SCHEMA_VERSION
from core.records.job import Failure, Job, QueuedView

_JSON_FIELDS = (
    *("request", "progress", "outputs", "error", "timing"),
    *("model", "metadata", "uploads", "webhook", "warnings", "quality"),
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
    """Return the record of a Redis hash, without the parts that a newer version added.

    Raises:
        Unavailable: the version that wrote it is not a neighbour of this one, or it asks for
            something that only a newer version knows.
    """
    schema = int(fields["schema"])
    if abs(schema - SCHEMA_VERSION) > 1:
        wanted = f"{SCHEMA_VERSION - 1} to {SCHEMA_VERSION + 1}"
        raise Unavailable(
            f"the record of job {fields['id']} has schema {schema} but this process reads {wanted}"
        )
    values: dict[str, Any] = dict(fields)
    values.update({name: json.loads(fields[name]) for name in _JSON_FIELDS if fields.get(name)})
    values.update({new: fields[old] for old, new in _TIME_FIELDS.items() if old in fields})
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
    """Return a job from what `view` in gateway.lua answers: position or -1, then the record."""
    position, *record = answer
    if not record:
        return None
    return QueuedView(parse_job(pairs(record)), None if position < 0 else position)


def submission_fields(job: Job) -> list[str]:
    """Return the fields of a new record beside those that the script itself knows."""
    cautions = [warning.model_dump() for warning in job.warnings]
    return flat(
        {
            "request": job.request.model_dump_json(),
            "metadata": json.dumps(job.metadata),
            "request_id": job.request_id,
            "for_model": job.request.model,
            "canvas_pixels": str(job.request.width * job.request.height),
            "webhook": job.webhook.model_dump_json() if job.webhook else None,
            "warnings": json.dumps(cautions) if cautions else None,
            "traceparent": job.traceparent or None,
        }
    )


def failure_field(error: JobFailed) -> str:
    """Return an error as the record stores it."""
    return Failure(code=error.code, detail=error.detail).model_dump_json()


def milliseconds(duration: timedelta) -> int:
    """Return a duration as Redis holds it."""
    return round(duration / _MILLISECOND)


def argument(value: Any) -> Any:
    """Return a value as the scripts take it: no value is '', a duration is in milliseconds."""
    if value is None:
        return ""
    return milliseconds(value) if isinstance(value, timedelta) else value


def pairs(answer: list[str]) -> dict[str, str]:
    """Return a hash from a script's answer: field, value, field, value."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def flat(fields: Mapping[str, Any]) -> list[Any]:
    """Return a hash as scripts take it: field, value, field, value; fields of None are left out."""
    return [part for pair in fields.items() if pair[1] is not None for part in pair]
