"""Submit, estimate, list, read, cancel and delete jobs."""

from typing import Annotated

from fastapi import Query, Request, Response

from api.dependencies import (
    BaseUrl,
    CurrentCaller,
    CurrentDeployment,
    CurrentSubmissions,
    Jobs,
    caller_jobs,
    public_root,
)
from api.http.answers import problems, with_headers
from api.http.parameters import (
    ANY_STATE,
    JOB,
    IdempotencyKey,
    JobId,
    MeantTags,
    Time,
    Until,
    interpolations_router,
    newest_version,
    preference_applied,
    read_wait,
    reads_headers,
    seen_tags,
    version_of,
    version_tag,
    waits_for_end,
)
from api.http.submission import SUBMISSION_DOC, read_submission
from api.schemas.deployment import EstimateView
from api.schemas.deployment_views import estimate_view
from api.schemas.jobs import JobPage
from api.services.submissions import Submissions
from core.records.ids import JOB_ID_PATTERN
from core.records.job import JobState
from core.records.view import JobView
from core.store.roles.gateway import JobFilter

router = interpolations_router()

POLL_AFTER_SECONDS = 1

# `submit` and `read`, the calls that are made most, take what they can from the request itself:
# FastAPI spends about a tenth of a poll on two dependencies.


@router.post(
    "",
    status_code=202,
    openapi_extra=SUBMISSION_DOC | reads_headers("traceparent", "Prefer"),
    responses={
        202: with_headers("Location", "Retry-After", "ETag", "Preference-Applied"),
        200: with_headers(
            "Location",
            "ETag",
            "Preference-Applied",
            "Idempotent-Replayed",
            description="The job ended within `Prefer: wait=N`, or a job already exists for this "
            "`Idempotency-Key`.",
        )
        | {"model": JobView},
        **problems(400, 404, 413, 415, 422, 429, 503),
    },
)
async def submit(
    request: Request,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Accept keyframes and animate between them; poll the job at its `Location`."""
    state, jobs, wait = request.state, caller_jobs(request), read_wait(request)
    submissions: Submissions = state.submissions
    sent = await read_submission(request)
    view, replayed = await submissions.submit(
        sent, state.caller, state.request_id, idempotency_key, state.traceparent
    )
    state.job_id = view.job.id  # for the access log
    response.headers["Location"] = f"{public_root(request)}{router.prefix}/{view.job.id}"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if wait:
        view = await jobs.service.wait_for_end(view.job.id, jobs.tenant, wait)
        response.headers.update(preference_applied(wait))
    if replayed or view.job.status.is_final:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    response.headers["ETag"] = version_tag(view.job.version)
    return jobs.show(view)


@router.post("/estimate", openapi_extra=SUBMISSION_DOC, responses=problems(400, 413, 415, 422, 503))
async def estimate(
    request: Request,
    submissions: CurrentSubmissions,
    deployment: CurrentDeployment,
    caller: CurrentCaller,
) -> EstimateView:
    """Validate a submission, images included, and estimate its cost; no job is created."""
    sent = await read_submission(request)
    understood, warnings = await submissions.understand(sent, caller)
    return estimate_view(understood, warnings, await deployment.look(caller.tenant))


@router.get("", responses={200: with_headers("Link"), **problems(422, 503)})
async def list_jobs(
    request: Request,
    response: Response,
    jobs: Jobs,
    base_url: BaseUrl,
    status: Annotated[JobState | None, Query(description="Only jobs of this status.")] = None,
    created_after: Annotated[
        Time | None, Query(description="Only jobs created after this time.")
    ] = None,
    created_before: Annotated[
        Time | None, Query(description="Only jobs created before this time.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs per page.")] = 20,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the previous page.", pattern=JOB_ID_PATTERN)
    ] = None,
) -> JobPage:
    """List jobs, newest first."""
    wanted = JobFilter(status, cursor, created_after, created_before)
    views, next_cursor = await jobs.service.page(jobs.tenant, wanted, limit)
    if next_cursor:
        query = request.url.include_query_params(cursor=next_cursor).query
        response.headers["Link"] = f'<{base_url}{router.prefix}?{query}>; rel="next"'
    data = [jobs.show(view, with_drawings=False) for view in views]
    return JobPage(data=data, next_cursor=next_cursor)


@router.get(
    JOB,
    response_model=JobView,
    openapi_extra=reads_headers("Prefer", "If-None-Match"),
    responses={
        200: with_headers("ETag", "Preference-Applied"),
        304: with_headers(
            "ETag",
            "Preference-Applied",
            description="The job has not changed since the version in `If-None-Match`.",
        ),
        **problems(404, 503),
    },
)
async def read(
    request: Request,
    response: Response,
    job_id: JobId,
    until: Until = None,
) -> JobView | Response:
    """Return the job now, or with `Prefer: wait=N` as soon as it changes."""
    jobs, wait, seen = caller_jobs(request), read_wait(request), seen_tags(request)
    service, tenant = jobs.service, jobs.tenant
    if ANY_STATE in seen:
        seen = frozenset({version_tag((await service.get(job_id, tenant)).job.version)})
    if wait and waits_for_end(until, request):
        view = await service.wait_for_end(job_id, tenant, wait)
    elif wait:
        view = await service.wait_for_change(job_id, tenant, newest_version(seen), wait)
    else:
        view = await service.get(job_id, tenant)
    response.headers.update(preference_applied(wait))
    response.headers["ETag"] = version_tag(view.job.version)
    if response.headers["ETag"] in seen:
        return Response(status_code=304, headers=response.headers)
    return jobs.show(view)


@router.post(f"{JOB}/cancel", responses=problems(404, 503))
async def cancel(job_id: JobId, jobs: Jobs) -> JobView:
    """Cancel a queued job immediately and a running one within a denoising step.

    A job that has already ended is returned unchanged.
    """
    return jobs.show(await jobs.service.cancel(job_id, jobs.tenant))


@router.delete(
    JOB,
    status_code=204,
    openapi_extra=reads_headers("If-Match"),
    responses=problems(404, 409, 412, 503),
)
async def delete(job_id: JobId, jobs: Jobs, meant: MeantTags) -> None:
    """Delete an ended job: its record and every stored object."""
    if meant is not None and ANY_STATE not in meant:
        versions = {version_of(tag) for tag in meant}
        await jobs.service.demand_version(job_id, jobs.tenant, versions)
    await jobs.service.delete(job_id, jobs.tenant)
