"""ServiceError to status and problem details (RFC 9457): the one place that knows both our errors
and HTTP.
"""

import math
from collections.abc import Iterator
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.schemas.validation import problems_of_parameters
from core import errors
from core.errors import ServiceError

STATUS: dict[type[ServiceError], int] = {
    errors.MalformedBody: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.UntrustedOrigin: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.RequestTimeout: 408,
    errors.AlreadyUploaded: 409,
    errors.JobNotFinished: 409,
    errors.BodyTooLarge: 413,
    errors.ImageTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.UntrustedHost: 421,
    errors.InvalidRequest: 422,
    errors.TooManyJobs: 429,
    errors.TooManyUploads: 429,
    errors.RateLimited: 429,
    errors.HeadTooLarge: 431,
    errors.Unavailable: 503,
    errors.QueueFull: 503,
    ServiceError: 500,
}
RETRY_AFTER_SECONDS: dict[type[ServiceError], int] = {
    errors.Unavailable: 2,  # so long Redis and its clients take to be back after a restart
    errors.TooManyJobs: 30,  # about a job's time: a place is free again
    errors.TooManyUploads: 60,  # one of them may have vanished
    errors.RateLimited: 60,  # at most: until the minute ends
    errors.QueueFull: 30,  # as for one tenant
}

CHALLENGE = 'Bearer realm="tooncrafter"'  # RFC 6750, section 3

log = structlog.get_logger("api")


def all_errors() -> Iterator[type[ServiceError]]:
    """Every kind of error that a request may meet; what ends a job is no answer to a request."""
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += [child for child in kind.__subclasses__() if child is not errors.JobFailed]


def status_of(kind: type[ServiceError]) -> int:
    """The HTTP status of an error: its own, or that of what it is a kind of."""
    return next(STATUS[base] for base in kind.__mro__ if base in STATUS)


def problem_document(error: ServiceError, request_id: str) -> dict[str, Any]:
    """An error as callers read it."""
    body: dict[str, Any] = {
        "type": f"/errors/{error.code}",
        "title": error.title,
        "status": status_of(type(error)),
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.problems:
        body["errors"] = [problem.as_json() for problem in error.problems]
    return body


def problem_response(error: ServiceError, request_id: str) -> Response:
    """The answer to a request that failed."""
    wait = next(
        (RETRY_AFTER_SECONDS[kind] for kind in type(error).__mro__ if kind in RETRY_AFTER_SECONDS),
        None,
    )
    headers = {} if wait is None else {"Retry-After": str(wait)}
    if isinstance(error, errors.RateLimited):
        headers |= error.headers | {"Retry-After": str(math.ceil(error.retry_after_seconds))}
    if isinstance(error, errors.RangeNotSatisfiable):
        headers["Content-Range"] = error.content_range
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = CHALLENGE
    return JSONResponse(
        problem_document(error, request_id),
        status_of(type(error)),
        headers=headers,
        media_type="application/problem+json",
    )


def unexpected_response(error: Exception, request_id: str) -> Response:
    """The answer to a mistake of ours: the log has the trace, the caller has the id under which it
    stands there.
    """
    log.error("unexpected error", exc_info=error)
    detail = "an unexpected error; the service's log has it under this request's id"
    return problem_response(ServiceError(detail), request_id)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error as problem details, those of the framework included; `RequestId` answers
    the unexpected.
    """

    @app.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        return problem_response(error, request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def invalid_parameter(request: Request, error: RequestValidationError) -> Response:
        problems = problems_of_parameters(error.errors())
        return problem_response(errors.InvalidRequest.of(problems), request.state.request_id)

    @app.exception_handler(HTTPException)
    async def framework_error(request: Request, error: HTTPException) -> Response:
        translated: ServiceError
        if error.status_code < 400:
            return Response(status_code=error.status_code, headers=error.headers)
        if error.status_code == 405:
            translated = errors.MethodNotAllowed(
                f"{request.method} is not possible at {request.url.path}"
            )
            # the framework names those of one route only
            error.headers = {"Allow": ", ".join(_methods_at(request))}
        elif error.status_code == 404:
            translated = errors.NotFound(f"nothing is at {request.url.path}")
        else:
            translated = errors.MalformedBody(str(error.detail))
        answer = problem_response(translated, request.state.request_id)
        answer.headers.update(error.headers or {})
        return answer


def _methods_at(request: Request) -> list[str]:
    """All methods that the address takes."""
    routes = request.app.router.routes
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
