"""Build the OpenAPI 3.1 contract from FastAPI's, with what client generators need."""

import re
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.errors import RETRY_AFTER_SECONDS, all_errors, status_of
from api.http.answers import HEADERS, problems
from api.http.parameters import header_parameter
from api.middleware.authentication import is_open
from api.middleware.hosts import needs_trusted_host
from api.schemas.body import nullable
from api.schemas.interpolation import BODY_EXAMPLE, InterpolationBody
from api.schemas.problems import ProblemView
from api.schemas.uploads import UploadBody
from api.schemas.webhooks import WebhookTestBody
from core import errors
from core.records.webhook import TIME_LIMIT, WebhookEvent
from core.settings import Settings

Document = dict[str, Any]

DESCRIPTION = """\
A job animates between drawn keyframes. Submit one, follow it by its `events` or by polling with
`Prefer: wait=N`, and download its outputs.

Errors are problem documents (RFC 9457) from every address; `code` is stable, and `type` leads to a
page about it. An unknown field is refused, never ignored. Times are RFC 3339 in UTC, durations
seconds, sizes bytes.
"""
TAGS = {
    "interpolations": "Jobs, from the submission to the result.",
    "webhooks": "Messages about jobs to a receiver of the caller's: their log, and tests.",
    "uploads": "Large images, sent ahead of the job that uses them.",
    "files": "What links lead to if the service stores in a folder of its own.",
    "deployment": "What this deployment can do, and what waits.",
    "health": "Probes.",
}
SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, which the operator makes. A key has scopes: `read` for calls "
        "that change nothing, `submit` for all others, `admin` for both. A gateway on a loopback "
        "address asks for none while none exists.",
    }
}
PARAMETERS = {
    "X-Request-ID": header_parameter(
        "X-Request-ID",
        "The caller's own id of this request, to be found in the log. Up to 128 characters "
        "without spaces; another is replaced, never refused.",
        examples=["shot-12a"],
    )
}
# errors that answer only these operations, though others answer the same status
_ONLY_OF: dict[type[errors.ServiceError], frozenset[str]] = {
    errors.ImageTooLarge: frozenset({"submit", "estimate", "write_file"}),
    errors.IdempotencyKeyReused: frozenset({"submit"}),
    errors.QueueFull: frozenset({"submit"}),
}
_EVENT_HEADERS = {
    "webhook-id": "Names the event: the same for all attempts at it.",
    "webhook-timestamp": "Seconds since the epoch at which this attempt was made.",
    "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`, once for each "
    "valid secret, separated by spaces.",
}


def describe(app: FastAPI, settings: Settings) -> Document:
    """Return the document, made once."""
    if not app.openapi_schema:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            servers=[{"url": str(settings.public_url or "/").rstrip("/") or "/"}],
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        _add_components(document["components"])
        for path, item in document["paths"].items():
            for operation in item.values():
                _complete(path, operation)
        document["webhooks"] = {"interpolation": {"post": _event()}}
        app.openapi_schema = _with_whole_lines(document)
    return app.openapi_schema


def _add_components(components: Document) -> None:
    """Add the bodies that dependencies read, which FastAPI does not know."""
    _, bodies = models_json_schema(
        [
            (InterpolationBody, "validation"),
            (UploadBody, "validation"),
            (WebhookTestBody, "validation"),
            (ProblemView, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas = components["schemas"]
    schemas.update(bodies["$defs"])
    for framework_error in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_error, None)
    fields = schemas["InterpolationFields"] = deepcopy(schemas["InterpolationBody"])
    fields["title"] = "InterpolationFields"
    fields["description"] = "What to animate, and how; files hold images that it does not name."
    fields["required"].remove("keyframes")
    fields["properties"]["keyframes"] = nullable(fields["properties"]["keyframes"])
    _let_files_be_images(schemas, fields["properties"]["keyframes"], "Keyframe")
    _let_files_be_images(schemas, fields["properties"]["sketches"], "Sketch")
    # what the page of the contract fills in: with two files, it makes a job
    fields["example"] = {name: value for name, value in BODY_EXAMPLE.items() if name != "keyframes"}
    components |= {
        "headers": HEADERS,
        "parameters": PARAMETERS,
        "securitySchemes": SECURITY_SCHEMES,
    }


def _let_files_be_images(schemas: Document, field: Document, entry: str) -> None:
    """Describe the entries of a field of images in a form, where `image` may be left out."""
    name = f"{entry}Fields"
    schemas[name] = deepcopy(schemas[f"{entry}Body"]) | {"title": name}
    schemas[name]["required"].remove("image")
    if not schemas[name]["required"]:
        del schemas[name]["required"]
    image = schemas[name]["properties"]["image"]
    schemas[name]["properties"]["image"] = {
        "anyOf": [image, {"type": "null"}],
        "description": "Left out: the next file of the form.",
    }
    field["anyOf"][0]["items"] = {"$ref": f"#/components/schemas/{name}"}


def _complete(path: str, operation: Document) -> None:
    """Add what middlewares read and answer, and name the codes of each problem."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]  # FastAPI announces its own form of error for any parameter
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/X-Request-ID"})
    refusals = []
    headers = ["X-Request-ID"]
    if not is_open(path):
        operation["security"] = [{"apiKey": []}, {}]
        refusals += [401, 403, 422, 429, 503]
        headers += ["RateLimit", "RateLimit-Policy"]
    if needs_trusted_host(path):
        refusals += [403, 421]
    if "requestBody" in operation:
        refusals += [408, 413]
    for status, answer in problems(*refusals).items():
        answers.setdefault(str(status), {}).update(answer)
    for status, answer in answers.items():
        names = [*headers, *(["WWW-Authenticate"] if status == "401" else [])]
        if status >= "400":
            names += _name_codes(operation["operationId"], status, answer)
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        answer["headers"] = answer.get("headers", {}) | references
        # a word of OpenAPI 3.2, which FastAPI uses for event streams
        answer.get("content", {}).get("text/event-stream", {}).pop("itemSchema", None)
    operation["responses"] = dict(sorted(answers.items()))


def _name_codes(operation: str, status: str, answer: Document) -> list[str]:
    """Describe a problem by its codes; return the headers that come with them."""
    kinds = [
        kind
        for kind in all_errors()
        if str(status_of(kind)) == status and operation in _ONLY_OF.get(kind, {operation})
    ]
    answer["description"] = " ".join(f"`{kind.code}`: {kind.title}." for kind in kinds)
    return ["Retry-After"] if any(kind in RETRY_AFTER_SECONDS for kind in kinds) else []


def _with_whole_lines(node: Any) -> Any:
    """Join the lines of descriptions, which end where those of the code do; paragraphs stay."""
    if isinstance(node, dict):
        return {
            name: re.sub(r"(?<!\n)\n(?!\n)", " ", value).strip()
            if name == "description" and isinstance(value, str)
            else _with_whole_lines(value)
            for name, value in node.items()
        }
    return [*map(_with_whole_lines, node)] if isinstance(node, list) else node


def _event() -> Document:
    """Describe the message that receivers get."""
    properties = {
        "type": {"type": "string", "enum": [f"interpolation.{event}" for event in WebhookEvent]},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": {"$ref": "#/components/schemas/JobView"},
    }
    message = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "operationId": "interpolation_event",
        "tags": ["webhooks"],
        "summary": "An event of a job",
        "description": "Sent to the `webhook` of a job, signed as Standard Webhooks 1.0.0 says; "
        "`data.version` orders events. Answer within "
        f"{TIME_LIMIT.total_seconds():g} s; redirects are not followed.",
        "parameters": [
            header_parameter(name, meaning, required=True)
            for name, meaning in _EVENT_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": message}}},
        "responses": {
            "2XX": {"description": "Understood; it is not sent again."},
            "410": {"description": "Neither this event nor another is wanted at this address."},
            "default": {"description": "It is tried again, over three days."},
        },
    }
