"""Every error that the client raises.

ToonCrafterError
├── BadInput              the shot cannot be sent as given: a file is missing, an option is wrong
├── Unreachable           no answer from the service; temporary
├── WaitTimeout           the job has not ended in the time given; it goes on
├── WebhookRefused        a webhook message is not signed by the service, or too old
├── DamagedDownload       the bytes of an output are not those that the job names
├── JobCanceled           the job was canceled
├── JobFailed             the job failed; `code` says why
│   ├── WorkerLost        three workers vanished while they ran it
│   ├── OutOfMemory       it does not fit the device
│   ├── NumericalError    the model produced NaN or infinity
│   ├── DeadlineExceeded  it ran longer than the operator allows
│   └── StorageFailed     a result could not be written
└── ApiError              the service refused a call; `code` says why, `errors` where
    ├── InvalidRequest    400, 413, 415, 422
    │   └── IdempotencyKeyReused
    ├── Unauthorized      401: the API key is missing or wrong
    ├── Forbidden         403: the API key lacks a scope
    ├── NotFound          404: no such job, output or address
    ├── Conflict          409, 412: not in the job's present state
    ├── TooManyRequests   429: the tenant's rate or its limit of jobs; temporary
    └── Unavailable       502, 503, 504: Redis, storage or the gateway is away; temporary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from tooncrafter_client.models import Job


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the request, such as `/keyframes/1/image`.
        code: stable name, such as `out_of_range`.
        detail: the same in words.
    """

    pointer: str
    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer or '/'}: {self.detail}"


class ToonCrafterError(Exception):
    """Base of the tree; `code` is stable, the text is for people."""

    code = "error"
    is_temporary = False  # the same call may succeed later


class BadInput(ToonCrafterError, ValueError):
    """The shot cannot be sent as given."""

    code = "bad_input"


class Unreachable(ToonCrafterError):
    """The service does not answer, and the client's patience is over."""

    code = "unreachable"
    is_temporary = True


class WaitTimeout(ToonCrafterError, TimeoutError):
    """The job has not ended in the time given; it goes on."""

    code = "wait_timeout"
    is_temporary = True

    def __init__(self, job: Job, seconds: float) -> None:
        super().__init__(f"{job.id} is still {job.status} after {seconds:g} s")
        self.job = job


class WebhookRefused(ToonCrafterError):
    """A webhook message is unsigned, wrongly signed, or older than five minutes."""

    code = "webhook_refused"


class DamagedDownload(ToonCrafterError):
    """The bytes of an output are not those that the job names."""

    code = "damaged_download"


class JobCanceled(ToonCrafterError):
    """The job was canceled before it had a result."""

    code = "canceled"

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.id} was canceled")
        self.job = job


class JobFailed(ToonCrafterError):
    """The job failed; `code` and the text are those of its record."""

    def __init__(self, job: Job) -> None:
        failure = job.error
        super().__init__(f"{job.id}: {failure.detail if failure else 'failed'}")
        self.code = failure.code if failure else "internal"
        self.job = job


class WorkerLost(JobFailed):
    """Three workers vanished while they ran the job."""


class OutOfMemory(JobFailed):
    """The job does not fit into the device's memory."""


class NumericalError(JobFailed):
    """The model produced NaN or infinity."""


class DeadlineExceeded(JobFailed):
    """The job ran longer than the operator lets an attempt run."""


class StorageFailed(JobFailed):
    """An input could not be read or a result not be written."""


class ApiError(ToonCrafterError):
    """The service refused a call.

    Attributes:
        status: of HTTP.
        code: stable name of the error, such as `invalid_request`.
        errors: every problem of an invalid request, with its place.
        request_id: under which the operator finds the call in the logs.
        retry_after_seconds: how long the service asks to wait, if it does.
    """

    def __init__(self, response: httpx.Response) -> None:
        problem = _problem_document(response)
        self.status = response.status_code
        self.code = str(problem.get("code", f"http_{response.status_code}"))
        self.detail = str(problem.get("detail") or problem.get("title") or response.reason_phrase)
        self.errors = [_entry(entry) for entry in problem.get("errors") or []]
        self.request_id = response.headers.get("x-request-id")
        self.retry_after_seconds = _retry_after(response)
        super().__init__("\n".join([self.detail, *map(str, self.errors)]))


class InvalidRequest(ApiError):
    """The request cannot be carried out as sent; `errors` lists every problem."""


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key came with another request within the last 24 hours."""


class Unauthorized(ApiError):
    """The API key is missing, unknown, revoked or expired."""


class Forbidden(ApiError):
    """The API key lacks a scope that the call needs."""


class NotFound(ApiError):
    """No such job, output or address, as far as this key may know."""


class Conflict(ApiError):
    """The call does not fit the job's present state."""


class TooManyRequests(ApiError):
    """The tenant's rate or its limit of jobs is reached."""

    is_temporary = True


class Unavailable(ApiError):
    """The gateway, Redis or the storage is away, or the queue is full."""

    is_temporary = True


class InProgress(Conflict):
    """The same submission is being accepted at this moment."""

    is_temporary = True


_BY_CODE: dict[str, type[ApiError]] = {
    "idempotency_key_reused": IdempotencyKeyReused,
    "idempotency_in_progress": InProgress,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidRequest),
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    **dict.fromkeys((409, 412), Conflict),
    429: TooManyRequests,
    **dict.fromkeys((502, 503, 504), Unavailable),
}
_FAILURES: dict[str, type[JobFailed]] = {
    "worker_lost": WorkerLost,
    "out_of_memory": OutOfMemory,
    "numerical_error": NumericalError,
    "deadline_exceeded": DeadlineExceeded,
    "storage_failed": StorageFailed,
}


def error_from(response: httpx.Response) -> ApiError:
    """Return the error that a refused call raises, by its `code` or else its status.

    Args:
        response: an answer of 400 or above whose body has been read.
    """
    error = ApiError(response)
    kind = _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, ApiError)
    return kind(response)


def raise_unless_succeeded(job: Job) -> None:
    """Raise what an ended job has to tell.

    Raises:
        JobFailed: or the subclass for its code.
        JobCanceled: it was canceled.
    """
    if job.status == "failed":
        raise _FAILURES.get(job.error.code if job.error else "", JobFailed)(job)
    if job.status == "canceled":
        raise JobCanceled(job)


def _problem_document(response: httpx.Response) -> dict[str, Any]:
    """Return the problem details, or nothing where a proxy answered in its own words."""
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _entry(entry: dict[str, Any]) -> Problem:
    return Problem(*(str(entry.get(name, "")) for name in ("pointer", "code", "detail")))


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
