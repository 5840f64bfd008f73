"""Turn errors into HTTP responses (RFC 9457); no other module knows both."""

import math
from collections.abc import Iterator
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.schemas.validation import problems_of_parameters
from core import errors
from core.errors import ServiceError

STATUS: dict[type[ServiceError], int] = {
    errors.MalformedBody: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.UntrustedOrigin: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.RequestTimeout: 408,
    errors.AlreadyUploaded: 409,
    errors.JobNotFinished: 409,
    errors.PreconditionFailed: 412,
    errors.BodyTooLarge: 413,
    errors.ImageTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.UntrustedHost: 421,
    errors.InvalidRequest: 422,
    errors.TooManyJobs: 429,
    errors.TooManyUploads: 429,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.QueueFull: 503,
    ServiceError: 500,
}
RETRY_AFTER_SECONDS: dict[type[ServiceError], int] = {
    errors.Unavailable: 2,  # as long as Redis and its clients take after a restart
    errors.TooManyJobs: 30,  # about the time of one job
    errors.TooManyUploads: 60,  # an unused upload may have expired
    errors.RateLimited: 60,  # at most: until the minute ends
    errors.QueueFull: 30,  # about the time of one job
}
CHALLENGE = 'Bearer realm="tooncrafter"'  # RFC 6750, section 3
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")

log = structlog.get_logger("api")


def all_errors() -> Iterator[type[ServiceError]]:
    """Yield every kind of error that answers a request; what ends a job answers none."""
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += [child for child in kind.__subclasses__() if child is not errors.JobFailed]


def status_of(kind: type[ServiceError]) -> int:
    """Return the status of an error: its own, or that of its nearest base."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def problem_response(error: ServiceError, request_id: str) -> Response:
    """Return an error as a problem document with its status and headers."""
    status = status_of(type(error))
    body: dict[str, Any] = {
        "type": f"/errors/{error.code}",
        "title": error.title,
        "status": status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.problems:
        body["errors"] = [problem.as_json() for problem in error.problems]
    return JSONResponse(body, status, _headers(error), media_type="application/problem+json")


def _headers(error: ServiceError) -> dict[str, str]:
    kinds = type(error).__mro__
    waits = [RETRY_AFTER_SECONDS[kind] for kind in kinds if kind in RETRY_AFTER_SECONDS]
    headers = {"Retry-After": str(waits[0])} if waits else {}
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if isinstance(error, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.length}"
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = CHALLENGE
    return headers


async def answer_problem(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that a middleware refuses."""
    await problem_response(error, scope["state"]["request_id"])(scope, receive, send)


async def answer_unexpected(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 500; the log has the trace, and the caller the request's id to find it by."""
    log.error("unexpected error", exc_info=error)
    detail = "an unexpected error; the service's log has it under this request's id"
    await answer_problem(ServiceError(detail), scope, receive, send)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of an endpoint or of the framework as a problem document."""

    @app.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        return problem_response(error, request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def invalid_parameter(request: Request, error: RequestValidationError) -> Response:
        problems = problems_of_parameters(error.errors())
        return problem_response(errors.InvalidRequest.listing(problems), request.state.request_id)

    @app.exception_handler(HTTPException)
    async def framework_error(request: Request, error: HTTPException) -> Response:
        if error.status_code < 400:
            return Response(status_code=error.status_code, headers=error.headers)
        answer = problem_response(_translated(request, error), request.state.request_id)
        if error.status_code == 405:  # the framework names the methods of one route only
            answer.headers["Allow"] = ", ".join(_methods_at(request))
        return answer


def _translated(request: Request, error: HTTPException) -> ServiceError:
    if error.status_code == 405:
        return errors.MethodNotAllowed(f"{request.url.path} does not take {request.method}")
    if error.status_code == 404:
        return errors.NotFound(f"nothing is at {request.url.path}")
    return errors.MalformedBody(str(error.detail))


def _methods_at(request: Request) -> list[str]:
    def takes(method: str) -> bool:
        scope = {**request.scope, "method": "GET" if method == "HEAD" else method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    return [method for method in METHODS if takes(method)]
