"""The contract in the tree is the contract of the code, and it holds for what the gateway says."""

from collections.abc import Iterator
from functools import reduce
from operator import getitem
from typing import Any

import yaml
from httpx import AsyncClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.schemas.interpolation import InterpolationBody
from api.schemas.problems import ProblemView
from core.records.view import JobView
from testkit.api.calls import URL, files, operations
from testkit.jobs import png
from testkit.servers import ROOT


def resolved(document: dict[str, Any], node: dict[str, Any]) -> Any:
    return reduce(getitem, node["$ref"].split("/")[1:], document) if "$ref" in node else node


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

    async def test_gateway_serves_the_same(
        self, client: AsyncClient, document: dict[str, Any]
    ) -> None:
        """And a page to try it out."""
        assert (await client.get("/openapi.json")).json() == document
        assert (await client.get("/docs")).status_code == 200


class TestForm:
    def test_it_is_openapi(self, document: dict[str, Any]) -> None:
        """A validator of the standard accepts it; who may use it, and where it is served, stands in
        it.
        """
        validate(document)
        assert document["openapi"].startswith("3.1.")
        assert document["info"]["license"]["identifier"] == "Apache-2.0"
        assert document["servers"]
        assert {tag["name"] for tag in document["tags"]} == {
            tag for _, one in operations(document) for tag in one["tags"]
        }

    def test_everything_is_called_by_a_short_name(self, document: dict[str, Any]) -> None:
        """Generated clients call their functions so."""
        assert all(
            one["operationId"].isidentifier() and len(one["operationId"]) < 20
            for _, one in operations(document)
        )

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        """And every component is used."""
        targets = {str(value) for key, value in walk(document) if key == "$ref"}
        schemes = {
            name
            for key, value in walk(document)
            if key == "security"
            for choice in value
            for name in choice
        }
        targets |= {f"#/components/securitySchemes/{name}" for name in schemes}
        components = {
            f"#/components/{kind}/{name}"
            for kind, of in document["components"].items()
            for name in of
        }
        assert targets == components

    def test_every_answer_bears_the_id_of_its_request(self, document: dict[str, Any]) -> None:
        """And a 503 says when to come back."""
        for _, one in operations(document):
            assert all("X-Request-ID" in answer["headers"] for answer in one["responses"].values())
            assert (
                "Retry-After"
                in one["responses"].get("503", {"headers": ["Retry-After"]})["headers"]
            )

    def test_errors_have_one_form(self, document: dict[str, Any]) -> None:
        """Every answer from 400 on is a problem document."""
        for item in document["paths"].values():
            for operation in item.values():
                for status, answer in operation["responses"].items():
                    if status >= "400":
                        assert list(answer["content"]) == ["application/problem+json"]

    def test_every_field_of_a_request_is_explained(self, document: dict[str, Any]) -> None:
        """The schema is the documentation."""
        parts = ("ImageSource", "KeyframeBody", "SketchBody", "OutputBody")
        for name in ("InterpolationBody", *parts):
            for field, schema in document["components"]["schemas"][name]["properties"].items():
                assert schema.get("description"), f"{name}.{field}"

    def test_defaults_are_valid(self, document: dict[str, Any]) -> None:
        """A client that sends every default as the contract writes it is understood."""
        schema = document["components"]["schemas"]["InterpolationBody"]["properties"]
        defaults = {
            name: field["default"]
            for name, field in schema.items()
            if field.get("default") is not None
        }
        image = {"image": {"part": "a"}}
        body = InterpolationBody.model_validate({"keyframes": [image, image], **defaults})
        left_out = InterpolationBody.model_validate({"keyframes": [image, image]})
        assert body.model_dump() == left_out.model_dump()

    def test_examples_of_bodies_fit(self, document: dict[str, Any]) -> None:
        """A page that shows one sends what the schema allows."""
        shown = 0
        for _, one in operations(document):
            for content in one.get("requestBody", {}).get("content", {}).values():
                if "example" in content:
                    schema = {"components": document["components"], **content["schema"]}
                    Draft202012Validator(schema).validate(content["example"])
                    shown += 1
        assert shown >= 2

    async def test_example_of_a_submission_works(
        self, client: AsyncClient, document: dict[str, Any]
    ) -> None:
        """People send it as it stands, from the page of the contract."""
        body = document["paths"][URL]["post"]["requestBody"]["content"]["application/json"][
            "example"
        ]
        assert (await client.post(URL, json=body)).status_code == 202

    def test_examples_are_valid(self, document: dict[str, Any]) -> None:
        """They are what people copy."""
        (prompt,) = document["components"]["schemas"]["InterpolationBody"]["properties"]["prompt"][
            "examples"
        ]
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
