"""Submit a job and read it: the calls of which most are made, so they are direct."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from api.contract.submission import SUBMISSION_DOC
from api.dependencies import base_url_of, interpolations_of, job_bodies_of, submissions_of
from api.http.bodies import read_submission
from api.http.direct import DirectRoute
from api.http.headers import (
    ANY_STATE,
    IdempotencyKeyHeader,
    PreferHeader,
    SeenStateHeader,
    TraceparentHeader,
    idempotency_key,
    newest_version,
    preferred_wait,
    seen_tags,
    version_tag,
)
from api.http.job_path import JOB, JobId
from api.middleware.tracing import traceparent_of
from api.schemas.jobs import PROBLEM_RESPONSE
from core.records.job import QueuedView
from core.records.view import JobView
from core.store.roles.gateway import Known

router = APIRouter(prefix="/v1/interpolations", tags=["interpolations"], route_class=DirectRoute)

POLL_AFTER_SECONDS = 1
JSON = "application/json"

_ENDED_OR_REPLAYED: dict[str, Any] = {
    "model": JobView,
    "description": "The job ended within `Prefer: wait=N`, or the `Idempotency-Key` had made it "
    "before.",
}
_UNCHANGED: dict[str, Any] = {"description": "The job is still at the version of `If-None-Match`."}


async def _submit_parameters(
    prefer: PreferHeader = None,
    idempotency_key: IdempotencyKeyHeader = None,
    traceparent: TraceparentHeader = None,
) -> None:
    """For the contract."""


@router.post(
    "",
    status_code=202,
    response_model=JobView,
    openapi_extra=SUBMISSION_DOC,
    responses={
        200: _ENDED_OR_REPLAYED,
        **dict.fromkeys((400, 404, 413, 415, 422, 429, 503), PROBLEM_RESPONSE),
    },
    dependencies=[Depends(_submit_parameters)],
)
async def submit(request: Request) -> Response:
    """Accept two keyframes and animate between them; the answer is the job, to be polled at its
    `Location`.
    """
    state, wait, key = request.scope["state"], preferred_wait(request), idempotency_key(request)
    submission = await read_submission(request, max_image=state["settings"].max_image)
    view, replayed = await submissions_of(request).submit(
        submission, state["request_id"], key, traceparent_of(request)
    )
    state["job_id"] = view.job.id  # for the request's line in the log
    headers = {"Location": f"{router.prefix}/{view.job.id}"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    if wait:
        view = await interpolations_of(request).wait_for_end(view.job.id, wait)
        headers["Preference-Applied"] = _applied(wait)
    has_news = replayed or view.job.status.is_final
    if not has_news:
        headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    headers["ETag"] = version_tag(view.job.version)
    body = job_bodies_of(request).render(
        view, state["interpolations"].link, lambda: base_url_of(request)
    )
    return Response(body, 200 if has_news else 202, headers, media_type=JSON)


async def _read_parameters(
    job_id: JobId, prefer: PreferHeader = None, if_none_match: SeenStateHeader = None
) -> None:
    """For the contract."""


@router.get(
    JOB,
    response_model=JobView,
    responses={304: _UNCHANGED, **dict.fromkeys((404, 503), PROBLEM_RESPONSE)},
    dependencies=[Depends(_read_parameters)],
)
async def read(request: Request) -> Response:
    """The job as it stands now, or with `Prefer: wait=N` as soon as it changes."""
    job_id: str = request.path_params["job_id"]
    jobs, bodies = interpolations_of(request), job_bodies_of(request)
    wait, tags = preferred_wait(request), seen_tags(request)
    if ANY_STATE in tags:
        tags = frozenset({version_tag((await jobs.get(job_id)).job.version)})
    seen = newest_version(tags) if tags else None
    headers = {"Preference-Applied": _applied(wait)} if wait else {}
    kept = bodies.find(job_id) if seen is None and not wait else None
    if wait:
        view: QueuedView | None = await jobs.wait_for_change(job_id, seen, wait)
    elif kept:
        view = await jobs.get_unless(job_id, kept.known)
    elif seen is not None:
        view = await jobs.get_unless(job_id, Known(seen, any_position=True))
    else:
        view = await jobs.get(job_id)
    if view is None and kept:
        return Response(
            kept.json, headers={"ETag": version_tag(kept.known.version)}, media_type=JSON
        )
    headers["ETag"] = version_tag(view.job.version if view else seen or 0)
    if view is None or headers["ETag"] in tags:
        return Response(status_code=304, headers=headers)
    body = bodies.render(view, jobs.link, lambda: base_url_of(request))
    return Response(body, headers=headers, media_type=JSON)


def _applied(wait: timedelta) -> str:
    return f"wait={int(wait.total_seconds())}"
