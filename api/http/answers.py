"""Describe responses in the contract, beyond what FastAPI derives."""

from typing import Any

from api.errors import CHALLENGE

Answers = dict[int | str, dict[str, Any]]

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's id, as sent or made here; every log line has it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "Address of the job, or of the file.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Version of what was answered, for `If-None-Match`.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which it is worth asking again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Link": {
        "description": 'Address of the next page, `rel="next"`; missing on the last one.',
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "What was kept of `Prefer`; missing without a preference.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` if the `Idempotency-Key` had made this job before; else missing.",
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
        "description": "Which bytes of how many: `bytes 0-99/1234`, or `bytes */1234` if the "
        "range lies past the end.",
        "schema": {"type": "string"},
    },
    "Accept-Ranges": {
        "description": "`Range` is understood.",
        "schema": {"type": "string", "const": "bytes"},
    },
    "Content-Disposition": {
        "description": "A name for the file.",
        "schema": {"type": "string"},
    },
}
PROBLEM_CONTENT = {
    "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}
}


def with_headers(*names: str, description: str = "") -> dict[str, Any]:
    """Describe an answer that has these headers."""
    answer: dict[str, Any] = {
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    }
    return answer | {"description": description} if description else answer


def problems(*statuses: int) -> Answers:
    """Describe answers that are problem documents; `api.openapi` names their codes."""
    return {status: {"content": PROBLEM_CONTENT} for status in statuses}


ANY_BYTES: dict[str, Any] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")
FILE_ANSWERS: Answers = {
    200: with_headers(*_FILE_HEADERS, description="The file."),
    206: with_headers(*_FILE_HEADERS, "Content-Range", description="The part in `Range`."),
    304: with_headers("ETag", description="The caller has the file already."),
    **problems(404, 503),
    416: with_headers("Content-Range") | {"content": PROBLEM_CONTENT},
}
