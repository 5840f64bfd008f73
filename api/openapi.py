"""The contract as OpenAPI 3.1: what FastAPI derives, and the bodies that are read from the raw request."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.schemas import InterpolationBody

_REF = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once and kept."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        _, bodies = models_json_schema([(InterpolationBody, "validation")], ref_template=_REF)
        document["components"]["schemas"].update(bodies["$defs"])
        app.openapi_schema = document
    return app.openapi_schema
