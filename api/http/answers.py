"""Describe responses in the contract, beyond what FastAPI derives."""

from typing import Any

from api.errors import CHALLENGE

Answers = dict[int | str, dict[str, Any]]

_TEXT = {"type": "string"}
# What each header says, and its schema.
_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-ID": ("The request's id, as sent or made here; every log line has it.", _TEXT),
    "Location": ("Address of the job, or of the file.", _TEXT),
    "ETag": ("Version of what was answered, for `If-None-Match`.", _TEXT),
    "Retry-After": (
        "Seconds after which it is worth asking again.",
        {"type": "integer", "minimum": 0},
    ),
    "Link": ('Address of the next page, `rel="next"`; missing on the last one.', _TEXT),
    "Preference-Applied": ("What was kept of `Prefer`; missing without a preference.", _TEXT),
    "Idempotent-Replayed": (
        "`true` if the `Idempotency-Key` had made this job before; else missing.",
        {"type": "string", "const": "true"},
    ),
    "WWW-Authenticate": ("How to prove who calls.", {"type": "string", "const": CHALLENGE}),
    "RateLimit": (
        "Calls left for now (`r`), and the seconds until more may be made (`t`); with API keys "
        "only.",
        {"type": "string", "examples": ['"reads";r=5998;t=41']},
    ),
    "RateLimit-Policy": (
        "Calls that the tenant may make (`q`) in a window of seconds (`w`); with API keys only.",
        {"type": "string", "examples": ['"reads";q=6000;w=60']},
    ),
    "Content-Range": (
        "Which bytes of how many: `bytes 0-99/1234`, or `bytes */1234` if the range lies past the "
        "end.",
        _TEXT,
    ),
    "Accept-Ranges": ("`Range` is understood.", {"type": "string", "const": "bytes"}),
    "Content-Disposition": ("A name for the file.", _TEXT),
}
_ALWAYS = {"X-Request-ID": {"required": True}}
HEADERS: dict[str, dict[str, Any]] = {
    name: {"description": text, **_ALWAYS.get(name, {}), "schema": {**schema}}
    for name, (text, schema) in _HEADERS.items()
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


def json_body_doc(schema: str, *, required: bool) -> dict[str, Any]:
    """Describe a JSON body that a dependency reads."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": required, "content": content}}


ANY_BYTES: dict[str, Any] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_FILE_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")
FILE_ANSWERS: Answers = {
    200: with_headers(*_FILE_HEADERS, description="The file."),
    206: with_headers(*_FILE_HEADERS, "Content-Range", description="The part in `Range`."),
    304: with_headers("ETag", description="The caller has the file already."),
    **problems(404, 503),
    416: with_headers("Content-Range") | {"content": PROBLEM_CONTENT},
}
