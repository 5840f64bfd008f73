"""The contract in the tree is the contract of the code, and it holds for what the gateway says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from httpx import AsyncClient

from api.main import create_app
from api.schemas import InterpolationBody, JobView, ProblemView
from core.settings import Settings
from tests.api.conftest import files
from tests.api.test_submit import URL
from tests.jobs import png
from tests.servers import ROOT

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def walk(node: object) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key, value
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


class TestFile:
    def test_file_in_the_tree_is_current(self, document: dict[str, Any]) -> None:
        """A change of contract is a diff that a reviewer sees. `make openapi` writes it."""
        assert yaml.safe_load((ROOT / "openapi.yaml").read_text()) == document

    async def test_gateway_serves_the_same(self, client: AsyncClient, document: dict[str, Any]) -> None:
        """And a page to try it out."""
        assert (await client.get("/openapi.json")).json() == document
        assert (await client.get("/docs")).status_code == 200


class TestForm:
    def test_it_is_openapi(self, document: dict[str, Any]) -> None:
        """What the standard demands of every document: its version, a title, described answers, unique names."""
        assert re.fullmatch(r"3\.1\.\d", document["openapi"])
        assert {"title", "version"} <= document["info"].keys()
        operations = [(path, operation) for path, item in document["paths"].items() for operation in item.values()]
        assert all(set(item) <= METHODS for item in document["paths"].values())
        names = [operation["operationId"] for _, operation in operations]
        assert len(names) == len(set(names))
        for path, operation in operations:
            assert all(answer["description"] for answer in operation["responses"].values())
            in_path = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        """And every schema is used."""
        targets = {str(value).removeprefix("#/components/schemas/") for key, value in walk(document) if key == "$ref"}
        assert targets == set(document["components"]["schemas"])

    def test_errors_have_one_form(self, document: dict[str, Any]) -> None:
        """Every answer from 400 on is a problem document."""
        for item in document["paths"].values():
            for operation in item.values():
                for status, answer in operation["responses"].items():
                    if status >= "400":
                        assert list(answer["content"]) == ["application/problem+json"]

    def test_every_field_of_a_request_is_explained(self, document: dict[str, Any]) -> None:
        """The schema is the documentation."""
        for name in ("InterpolationBody", "ImageSource", "OutputBody"):
            for field, schema in document["components"]["schemas"][name]["properties"].items():
                assert schema.get("description"), f"{name}.{field}"

    def test_defaults_are_valid(self, document: dict[str, Any]) -> None:
        """A client that sends every default as the contract writes it is understood."""
        schema = document["components"]["schemas"]["InterpolationBody"]["properties"]
        defaults = {name: field["default"] for name, field in schema.items() if field.get("default") is not None}
        image = {"image": {"part": "a"}}
        body = InterpolationBody.model_validate({"keyframes": [image, image], **defaults})
        assert body.model_dump(include=set(defaults)) == defaults

    def test_examples_are_valid(self, document: dict[str, Any]) -> None:
        """They are what people copy."""
        (prompt,) = document["components"]["schemas"]["InterpolationBody"]["properties"]["prompt"]["examples"]
        source = document["components"]["schemas"]["ImageSource"]["properties"]
        for field in ("data", "part"):
            image = {"image": {field: source[field]["examples"][0]}}
            InterpolationBody.model_validate({"keyframes": [image, image], "prompt": prompt})


class TestTruth:
    async def test_answers_have_the_documented_fields(self, client: AsyncClient) -> None:
        """No more and no less."""
        accepted = await client.post(URL, files=files())
        assert accepted.json().keys() == JobView.model_fields.keys()
        refused = await client.post(URL, files=files(png(), b""))
        assert refused.json().keys() == ProblemView.model_fields.keys()
