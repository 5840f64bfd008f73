"""Null means left out, in every field that may be left out."""

from typing import Any

import pytest

from api.schemas.body import Body
from api.schemas.interpolation import InterpolationBody
from api.schemas.outputs import OutputBody
from api.schemas.shots import KeyframeBody
from api.schemas.webhooks import WebhookBody

IMAGE = {"upload": "upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"}
BODIES: list[tuple[type[Body], dict[str, Any]]] = [
    (InterpolationBody, {"keyframes": [{"image": IMAGE}, {"image": IMAGE}]}),
    (KeyframeBody, {"image": IMAGE | {"data": None, "part": None, "url": None}}),
    (OutputBody, {}),
    (WebhookBody, {"url": "https://studio.example.com/hook"}),
]
OPTIONAL = [
    (model, name)
    for model, _ in BODIES
    for name, field in model.model_fields.items()
    if not field.is_required()
]


@pytest.mark.parametrize(("model", "name"), OPTIONAL)
def test_null_is_the_default(model: type[Body], name: str) -> None:
    """Many typed clients send every field that they know."""
    needed = dict(BODIES)[model]
    assert model.model_validate({**needed, name: None}) == model.model_validate(needed)


@pytest.mark.parametrize(("model", "name"), OPTIONAL)
def test_contract_says_so(model: type[Body], name: str) -> None:
    """Generated clients and the fuzzer read it there."""
    ways = model.model_json_schema()["properties"][name]["anyOf"]
    assert {"type": "null"} in ways


def test_null_does_not_stand_for_what_is_required() -> None:
    """A keyframe without an image is none."""
    with pytest.raises(ValueError, match="image"):
        KeyframeBody.model_validate({"image": None})
