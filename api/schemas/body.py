"""Define the base class of request bodies."""

from typing import Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

# A field that takes one value or a list tags which came; pydantic puts the tag into the place of a
# problem, where JSON pointers have none.
ONE, LIST = "[one]", "[list]"
KINDS = frozenset({ONE, LIST})


def kind_of(value: object) -> str:
    """Return which of the two came."""
    return LIST if isinstance(value, list) else ONE


def whole(value: object) -> object:
    """Return 5.0 as 5: for JSON Schema it is an integer, and some languages write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(whole)  # behind the bounds of a field, so that its schema shows them


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema that also takes null."""
    ways = schema.pop("anyOf", None)
    if ways is None:
        about: dict[str, Any] = {
            key: schema.pop(key)
            for key in ("title", "description", "default", "examples")
            if key in schema
        }
        return {"anyOf": [schema, {"type": "null"}], **about}
    return schema | {"anyOf": [way for way in ways if way != {"type": "null"}] + [{"type": "null"}]}


def exactly_one(*names: str) -> dict[str, Any]:
    """Describe that one of these texts is given. Generators make no type of an object's `oneOf`."""
    schema: Any = False
    for given in reversed(names):
        others = {name: {"type": "null"} for name in names if name != given}
        schema = {
            "if": {"required": [given], "properties": {given: {"type": "string"}}},
            "then": {"properties": others},
            "else": schema,
        }
    return dict(schema)


def together(first: str, second: str) -> dict[str, Any]:
    """Describe that two whole numbers are given together or not at all."""
    return {
        "if": {"required": [first], "properties": {first: {"type": "integer"}}},
        "then": {"required": [second], "properties": {second: {"type": "integer"}}},
        "else": {"properties": {second: {"type": "null"}}},
    }


class Body(BaseModel):
    """Base of request bodies: nothing is coerced, no unknown field ignored, null means left out."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, values: Any) -> Any:
        """Leave out optional fields that are null, as many typed clients send them."""
        if not isinstance(values, dict):
            return values
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in optional
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe optional fields as nullable."""
        schema = handler(core_schema)
        described = handler.resolve_ref_schema(schema)
        required = described.get("required", [])
        for name, field in described.get("properties", {}).items():
            if name not in required:
                described["properties"][name] = nullable(field)
        return schema
