"""What the contract adds to each answer: its headers, examples, and where one may go from there.

Every problem of an operation is looked up by its status; a few errors belong to some operations
only.
"""

from collections.abc import Iterator
from typing import Any

from api.errors import CHALLENGE, RETRY_AFTER_SECONDS, all_errors, status_of
from api.middleware.authentication import is_open
from api.middleware.hosts import proves_nothing
from core import errors
from core.errors import ServiceError

Operation = dict[str, Any]

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's id, as sent or made here; it stands in every log line.",
        "required": True,
        "schema": {"type": "string", "examples": ["01K9T3E50C2V8J4W6X7Y8Z9A0B"]},
    },
    "Location": {
        "description": "Address of the job, or of the file.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Version of what was answered, for `If-None-Match`.",
        "schema": {"type": "string", "examples": ['"7"']},
    },
    "Retry-After": {
        "description": "Seconds after which it is worth asking again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [2]},
    },
    "Link": {
        "description": 'Address of the next page, `rel="next"`; missing on the last one.',
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "What was kept of `Prefer`; missing where nothing was preferred.",
        "schema": {"type": "string", "examples": ["wait=30"]},
    },
    "Idempotent-Replayed": {
        "description": "`true` where the `Idempotency-Key` had made this job before; else missing.",
        "schema": {"type": "string", "const": "true"},
    },
    "WWW-Authenticate": {
        "description": "How to prove who calls.",
        "schema": {"type": "string", "const": CHALLENGE},
    },
    "RateLimit": {
        "description": "Calls left for now (`r`), and the seconds until more may be made (`t`); "
        "with API keys only.",
        "schema": {"type": "string", "examples": ['"reads";r=5998;t=41']},
    },
    "RateLimit-Policy": {
        "description": "Calls that the tenant may make (`q`) in a window of seconds (`w`); with "
        "API keys only.",
        "schema": {"type": "string", "examples": ['"reads";q=6000;w=60']},
    },
    "Content-Range": {
        "description": "Which bytes of how many: `bytes 0-99/1234`, or `bytes */1234` where none "
        "could be meant.",
        "schema": {"type": "string", "examples": ["bytes 0-99/1234"]},
    },
    "Accept-Ranges": {
        "description": "`Range` is understood.",
        "schema": {"type": "string", "const": "bytes"},
    },
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "name": "X-Request-ID",
        "in": "header",
        "required": False,
        "description": "The caller's own id of this request, to be found in the log. Up to 128 "
        "characters without "
        "spaces; another is replaced, never refused.",
        "schema": {"type": "string", "examples": ["shot-12a"]},
    }
}

_OF_ANSWER: dict[tuple[str, str], tuple[str, ...]] = {
    ("submit", "202"): ("Location", "Retry-After", "ETag", "Preference-Applied"),
    ("submit", "200"): ("Location", "ETag", "Preference-Applied", "Idempotent-Replayed"),
    ("list_jobs", "200"): ("Link",),
    ("read", "200"): ("ETag", "Preference-Applied"),
    ("read", "304"): ("ETag", "Preference-Applied"),
    ("download", "200"): ("ETag", "Accept-Ranges"),
    ("download", "206"): ("ETag", "Accept-Ranges", "Content-Range"),
    ("download", "416"): ("Content-Range",),
    ("read_file", "200"): ("ETag", "Accept-Ranges"),
    ("read_file", "206"): ("ETag", "Accept-Ranges", "Content-Range"),
    ("read_file", "304"): ("ETag",),
    ("read_file", "416"): ("Content-Range",),
    ("download", "304"): ("ETag",),
    ("download", "307"): ("Location",),
}

_ONLY_OF: dict[type[ServiceError], frozenset[str]] = {
    errors.ImageTooLarge: frozenset({"submit", "estimate"}),
    errors.IdempotencyKeyReused: frozenset({"submit"}),
    errors.QueueFull: frozenset({"submit"}),
}

_STEPS_WITH_A_JOB = {
    "read": "How it stands.",
    "events": "Its progress.",
    "cancel": "End it.",
    "delete": "Remove it once it has ended.",
    "list_deliveries": "What its webhook was told.",
}
_JOB_ID_IN = {
    "submit": "$response.body#/id",
    "read": "$response.body#/id",
    "cancel": "$response.body#/id",
    "list_jobs": "$response.body#/data/0/id",
}

SECURITY_SCHEME = "apiKey"
SECURITY = {
    SECURITY_SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, which the operator makes. A key has scopes: `read` for calls "
        "that change nothing, "
        "`submit` for all others, `admin` for both. A gateway on a loopback address asks for none "
        "while none exists.",
    }
}

PROBLEM_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}
}


def complete_answers(path: str, operation: Operation) -> None:
    """Add to every answer of an operation what all gateways say, and what this operation says."""
    name, answers = operation["operationId"], operation["responses"]
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/X-Request-ID"})
    if not is_open(path):
        operation["security"] = [{SECURITY_SCHEME: []}, {}]
    for kind in _refused_before(path, operation):
        answers.setdefault(str(status_of(kind)), {})
    for status, answer in answers.items():
        headers = ["X-Request-ID", *_OF_ANSWER.get((name, status), ())]
        if not is_open(path) and status != "401":
            headers += ["RateLimit", "RateLimit-Policy"]
        if status == "401":
            headers.append("WWW-Authenticate")
        if status >= "400":
            kinds = [
                kind
                for kind in all_errors()
                if str(status_of(kind)) == status and name in _ONLY_OF.get(kind, {name})
            ]
            answer["description"] = " ".join(f"`{kind.code}`: {kind.title}." for kind in kinds)
            examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds}
            answer["content"] = {
                media: content | {"examples": examples}
                for media, content in PROBLEM_CONTENT.items()
            }
            headers += ["Retry-After"] if any(kind in RETRY_AFTER_SECONDS for kind in kinds) else []
        answer["headers"] = {
            header: {"$ref": f"#/components/headers/{header}"} for header in headers
        }
        if status < "300" and (links := _links(name)):
            answer["links"] = links
    operation["responses"] = dict(sorted(answers.items()))


def _refused_before(path: str, operation: Operation) -> Iterator[type[ServiceError]]:
    """What is refused before an endpoint is asked."""
    if not is_open(path):
        yield errors.Unauthorized
        yield errors.Forbidden
        yield errors.RateLimited
        yield errors.Unavailable
    if proves_nothing(path):
        yield errors.UntrustedOrigin
        yield errors.UntrustedHost
    if "requestBody" in operation:
        yield errors.RequestTimeout
        yield errors.BodyTooLarge


def _links(name: str) -> dict[str, Any]:
    """Where one may go from an answer of this operation."""
    if name == "list_deliveries":
        number = {"job_id": "$request.path.job_id", "n": "$response.body#/data/0/n"}
        return {"redeliver": _link("redeliver", "Tell the oldest event anew.", **number)}
    if name not in _JOB_ID_IN:
        return {}
    job_id = _JOB_ID_IN[name]
    links = {
        step: _link(step, text, job_id=job_id)
        for step, text in _STEPS_WITH_A_JOB.items()
        if step != name
    }
    if name == "read":
        links["download"] = _link(
            "download",
            "Its result, if it has one.",
            job_id=job_id,
            name="$response.body#/outputs/0/name",
        )
    if name == "list_jobs":
        links["next"] = _link(
            "list_jobs", "Older jobs, if there are more.", cursor="$response.body#/next_cursor"
        )
    return links


def _link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters, "description": description}
