"""Answers and errors become types; what is unknown breaks nothing."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tooncrafter_client import (
    ApiError,
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    Job,
    NotFound,
    Problem,
    Unauthorized,
)
from tooncrafter_client.errors import error_from
from tooncrafter_client.models import Progress


def test_fields_and_values_of_a_newer_service(job: Callable[..., dict[str, Any]]) -> None:
    """They are kept and can be read."""
    newer = Job.model_validate(
        job(status="paused", mood="good", progress={"stage": "dreaming", "percent": 1, "depth": 2})
    )
    assert newer.status == "paused"
    assert not newer.has_ended
    assert newer.model_extra == {"object": "interpolation", "mood": "good"}
    assert newer.progress == Progress.model_validate(
        {"stage": "dreaming", "percent": 1, "depth": 2}
    )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (409, "job_not_finished", Conflict),
        (412, "precondition_failed", Conflict),
        (413, "body_too_large", InvalidRequest),
        (422, "idempotency_key_reused", IdempotencyKeyReused),
        (418, "of_tomorrow", ApiError),
    ],
)
def test_errors_have_types(
    answer: Callable[..., httpx.Response], status: int, code: str, kind: type[ApiError]
) -> None:
    error = error_from(answer(status, {"code": code, "detail": "words"}, x_request_id="01K9"))
    assert type(error) is kind
    assert (error.status, error.code, str(error), error.request_id) == (
        status,
        code,
        "words",
        "01K9",
    )


def test_every_problem_has_its_place(answer: Callable[..., httpx.Response]) -> None:
    entry = {"pointer": "/steps", "code": "out_of_range", "detail": "`steps` is 99", "new": 1}
    body = {"code": "invalid_request", "detail": "1 problem", "errors": [entry]}
    error = error_from(answer(422, body))
    assert error.errors == [Problem("/steps", "out_of_range", "`steps` is 99")]
    assert str(error) == "1 problem\n/steps: `steps` is 99"
