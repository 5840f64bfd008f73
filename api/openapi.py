"""The contract as OpenAPI 3.1: what FastAPI derives, and the bodies that are read from the raw request."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.schemas import InterpolationBody, ProblemView

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once and kept."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        _, bodies = models_json_schema(
            [(InterpolationBody, "validation"), (ProblemView, "serialization")], ref_template=_REF
        )
        document["components"]["schemas"].update(bodies["$defs"])
        _without_validation_errors(document)
        app.openapi_schema = document
    return app.openapi_schema


def _without_validation_errors(document: dict[str, Any]) -> None:
    """FastAPI announces its own form of error wherever there is a parameter; ours are problem documents."""
    for path in document["paths"].values():
        for operation in path.values():
            answer = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    for schema in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(schema, None)
