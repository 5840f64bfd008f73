"""Every error that a caller, an operator or a job record may see.

ServiceError
├── InvalidRequest            the request cannot be carried out as sent; lists every problem
│   ├── MalformedBody         broken JSON or multipart
│   ├── BodyTooLarge          the body as a whole
│   ├── ImageTooLarge         an uploaded file, in bytes
│   ├── UnsupportedMediaType  neither JSON nor multipart
│   └── IdempotencyKeyReused  the key came with another request before
├── UntrustedHost             called under a name that is not the gateway's
├── UntrustedOrigin           called by a web page that may not
├── Unauthorized              no valid API key
├── Forbidden                 the API key or the signed link does not permit this
├── NotFound                  no such resource
├── MethodNotAllowed
├── RequestTimeout            the body took too long
├── RangeNotSatisfiable       `Range` names nothing that the file has
├── JobNotFinished            what was asked is possible only when the job has ended
├── PreconditionFailed        `If-Match` names other states than the present one
├── AlreadyUploaded           an upload has its bytes, and other ones came
├── Unavailable               Redis or storage does not answer
├── TooManyJobs               as many of the tenant's jobs wait as may wait
├── TooManyUploads            the tenant's uploads are as large as they may be together
├── RateLimited               more calls than the tenant may make
├── QueueFull                 as many jobs wait as may wait
└── JobFailed                 what ends a job: its code is stored in the record
    ├── WorkerLost            three workers vanished while they ran it
    ├── OutOfMemory           it does not fit the device
    ├── DeadlineExceeded      it ran longer than an attempt may
    ├── NumericalFailure      the model produced NaN or infinity
    ├── StorageFailed         a result could not be written
    └── InternalFailure       a mistake of ours

StaleClaim and CancelRequested are no errors of a job: they tell a worker not to go on with it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

MOST_PROBLEMS = 100  # that one answer lists


@dataclass(frozen=True)
class Problem:
    """One problem of a request: its place (JSON pointer, RFC 6901), its kind, and words."""

    pointer: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        """The object that stands in `errors[]` of a problem document."""
        return asdict(self)


class ServiceError(Exception):
    """Base of the tree; `code` is stable, `detail` is for people and holds nothing secret."""

    code = "internal"
    title = "Something went wrong on our side"

    def __init__(self, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.problems = list(problems)


class InvalidRequest(ServiceError):
    """The request cannot be carried out; the member `errors` lists all that is wrong with it.

    Each entry has a `pointer` to the field, a `code`, and a `detail` in words.
    """

    code = "invalid_request"
    title = "The request is not valid"

    @classmethod
    def listing(cls, problems: Sequence[Problem]) -> "InvalidRequest":
        """Return one error for all problems, in their order; of very many the first."""
        detail = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        if len(problems) > MOST_PROBLEMS:
            detail += f", of which these are the first {MOST_PROBLEMS}"
        return cls(detail, problems[:MOST_PROBLEMS])


class MalformedBody(InvalidRequest):
    """The body is neither the JSON nor the multipart form that its content type promises."""

    code = "malformed_body"
    title = "The body cannot be read"


class BodyTooLarge(InvalidRequest):
    """The body exceeds the limit for one request."""

    code = "body_too_large"
    title = "The body is too large"


class ImageTooLarge(InvalidRequest):
    """An uploaded file exceeds the limit for one image."""

    code = "image_too_large"
    title = "An image is too large"


class UnsupportedMediaType(InvalidRequest):
    """The content type is none that this call takes."""

    code = "unsupported_media_type"
    title = "The content type is not supported"


class IdempotencyKeyReused(InvalidRequest):
    """The `Idempotency-Key` came with another request within the last 24 hours; use a new key."""

    code = "idempotency_key_reused"
    title = "The idempotency key was used for another request"


class JobNotFinished(ServiceError):
    """The job is queued or running; what was asked is possible only when it has ended."""

    code = "job_not_finished"
    title = "The job has not ended"


class PreconditionFailed(ServiceError):
    """The job has another version than those that `If-Match` names; nothing was changed."""

    code = "precondition_failed"
    title = "The job has changed"


class AlreadyUploaded(ServiceError):
    """The upload has its image, which never changes; another image needs another upload."""

    code = "already_uploaded"
    title = "The upload has received its image"


class Unauthorized(ServiceError):
    """The call needs `Authorization: Bearer` with an API key that is valid; the operator makes
    keys.
    """

    code = "unauthorized"
    title = "A valid API key is needed"


class Forbidden(ServiceError):
    """The API key lacks a scope that the call needs, or a signed link is wrong or expired."""

    code = "forbidden"
    title = "Not permitted"


class NotFound(ServiceError):
    """Nothing is at this address, or nothing that the caller may know of."""

    code = "not_found"
    title = "Not found"


class MethodNotAllowed(ServiceError):
    """The address exists but not with this method."""

    code = "method_not_allowed"
    title = "The method is not allowed"


class UntrustedHost(ServiceError):
    """The request came under another name; the setting `gateway_names` allows more names."""

    code = "untrusted_host"
    title = "The gateway does not answer under this name"


class UntrustedOrigin(ServiceError):
    """A web page of another site made the request; the setting `cors_origins` allows sites."""

    code = "untrusted_origin"
    title = "Web pages of this site may not call the gateway"


class RequestTimeout(ServiceError):
    """The body of the request did not arrive in time."""

    code = "request_timeout"
    title = "The request took too long to arrive"


class RangeNotSatisfiable(ServiceError):
    """The wanted part begins past the end of the file, which has `length` bytes."""

    code = "range_not_satisfiable"
    title = "The file has no such part"

    def __init__(self, detail: str, length: int = 0) -> None:
        super().__init__(detail)
        self.length = length


class Unavailable(ServiceError):
    """Redis or the object storage does not answer; nothing was accepted, try again later."""

    code = "unavailable"
    title = "The service is not available"


class TooManyJobs(ServiceError):
    """The tenant has its limit of waiting jobs; nothing was accepted, try again later."""

    code = "too_many_jobs"
    title = "Too many of your jobs wait"


class TooManyUploads(ServiceError):
    """The tenant has its limit of upload bytes; uploads that no job uses expire."""

    code = "too_many_uploads"
    title = "Too many of your uploads are kept"


class RateLimited(ServiceError):
    """The tenant or key has made its calls for now, or many wrong keys came from the address."""

    code = "rate_limited"
    title = "Too many calls"

    def __init__(self, detail: str, retry_after_seconds: float = 60) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class QueueFull(ServiceError):
    """The queue has its limit of waiting jobs; nothing was accepted, try again later."""

    code = "queue_full"
    title = "The queue is full"


class JobFailed(ServiceError):
    """Ends a job as `failed`; code and detail are stored in its record."""

    title = "The job failed"


class WorkerLost(JobFailed):
    """Too many workers vanished while they ran this job."""

    code = "worker_lost"


class OutOfMemory(JobFailed):
    """The job does not fit into the device's memory."""

    code = "out_of_memory"


class DeadlineExceeded(JobFailed):
    """The job computed longer than the operator lets an attempt compute."""

    code = "deadline_exceeded"

    @classmethod
    def after(cls, timeout: timedelta) -> "DeadlineExceeded":
        """Return the error of a job that exceeded `timeout`."""
        return cls(
            f"the job has not ended within {timeout.total_seconds():g} s, which is all that one "
            "may take here"
        )


class NumericalFailure(JobFailed):
    """Latents or frames hold NaN or infinity; better no video than a gray one."""

    code = "numerical_error"


class StorageFailed(JobFailed):
    """An input could not be read or a result not be written."""

    code = "storage_failed"


class InternalFailure(JobFailed):
    """A mistake of ours; the log has the trace, the caller has the request id."""

    code = ServiceError.code


class StaleClaim(Exception):
    """The attempt's lease belongs to another attempt by now; write nothing more for the job."""


class CancelRequested(Exception):
    """The caller canceled the job; the worker ends it as canceled."""
