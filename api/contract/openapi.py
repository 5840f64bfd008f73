"""The contract as OpenAPI 3.1: what FastAPI derives, and what only we know: bodies, answers,
examples, links.
"""

import json
from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.contract import examples as examples
from api.contract.answers import HEADERS, PARAMETERS, SECURITY, complete_answers
from api.contract.webhooks import webhook_section
from api.schemas.jobs import InterpolationBody, ProblemView, UploadBody
from api.schemas.webhooks import WebhookTestBody

Document = dict[str, Any]

DESCRIPTION = """\
A job animates between drawn keyframes. Submit one, follow it by its `events` or by polling with `Prefer: wait=N`, and
download its outputs.

Errors are problem documents (RFC 9457) from every address; `code` is stable, and `type` leads to a page about it.
An unknown field is refused, never ignored. Times are RFC 3339 in UTC, durations seconds, sizes bytes.
"""
TAGS = [
    {"name": "interpolations", "description": "Jobs, from the submission to the result."},
    {
        "name": "webhooks",
        "description": "Messages about jobs to a receiver of the caller's: their log, and tests.",
    },
    {"name": "uploads", "description": "Large images, sent ahead of the job that uses them."},
    {
        "name": "files",
        "description": "What the links lead to where the service stores in a folder of its own.",
    },
    {"name": "deployment", "description": "What this deployment can do, and what waits."},
    {"name": "health", "description": "For those who run it."},
]
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
SERVERS = [{"url": "/", "description": "The gateway that served this document."}]

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI) -> Document:
    """The whole document; made once and kept."""
    if not app.openapi_schema:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=DESCRIPTION,
            license_info=LICENSE,
            servers=SERVERS,
            routes=app.routes,
        )
        _add_components(document)
        used = set()
        for path, item in document["paths"].items():
            for operation in item.values():
                used |= set(operation["tags"])
                _plain_parameters(operation)
                _without_validation_error(operation)
                complete_answers(path, operation)
                _exemplify(operation, document["components"]["schemas"])
        document["webhooks"] = webhook_section()
        _without_unused(document)
        document["tags"] = [tag for tag in TAGS if tag["name"] in used]
        app.openapi_schema = document
    return app.openapi_schema


def _add_components(document: Document) -> None:
    """Schemas of bodies that endpoints read from the raw request, headers and problems."""
    components = document["components"]
    _, bodies = models_json_schema(
        [
            (InterpolationBody, "validation"),
            (UploadBody, "validation"),
            (WebhookTestBody, "validation"),
            (ProblemView, "serialization"),
        ],
        ref_template=_REF,
    )
    schemas = components["schemas"]
    schemas.update(bodies["$defs"])
    for framework_error in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_error, None)
    fields = deepcopy(schemas["InterpolationBody"])
    fields["required"].remove("keyframes")
    fields["title"], fields["description"] = (
        "InterpolationFields",
        "What to animate, and how; files hold the keyframes.",
    )
    schemas["InterpolationFields"] = {key: value for key, value in fields.items() if value != []}
    components["headers"] = HEADERS
    components["parameters"] = PARAMETERS
    components["securitySchemes"] = SECURITY
    components["examples"] = examples.problem_examples()


def _plain_parameters(operation: Document) -> None:
    """A parameter that may be left out is not one that may be null: neither query nor header can
    say so.
    """
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        if (
            len(meanings := [way for way in schema.get("anyOf", []) if way != {"type": "null"}])
            == 1
        ):
            del schema["anyOf"]
            schema.update(meanings[0])
        if parameter["in"] == "header":
            parameter["name"] = schema["title"]


def _without_validation_error(operation: Document) -> None:
    """FastAPI announces its own form of error wherever there is a parameter; ours are problem
    documents.
    """
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]


def _exemplify(operation: Document, schemas: Document) -> None:
    """Show what is sent and what comes back."""
    contents = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in contents:
        contents["application/json"]["example"] = examples.BODY_EXAMPLE
    elif "application/json" in contents:
        content = contents["application/json"]
        content["example"] = examples.sampled(content["schema"], schemas)
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items() if status < "300" else ():
            if media == "text/event-stream":
                content.pop("itemSchema", None)  # a word of OpenAPI 3.2
                content |= {"schema": {"type": "string"}, "example": examples.EVENTS_EXAMPLE}
            elif content["schema"] == {"$ref": _REF.format(model="JobView")}:
                content["examples"] = examples.job_examples()
            elif content["schema"] == {"$ref": _REF.format(model="JobPage")}:
                content["example"] = examples.page_example()
            elif media == "application/json":
                content["example"] = examples.sampled(content["schema"], schemas)


def _without_unused(document: Document) -> None:
    """Drop headers and examples to which no answer refers."""
    text = json.dumps(document["paths"])
    for kind in ("headers", "examples"):
        of_kind = document["components"][kind].items()
        document["components"][kind] = {
            n: part for n, part in of_kind if f'"#/components/{kind}/{n}"' in text
        }
