"""Bodies that tests send to a gateway, and checks of what it answers."""

import base64
from typing import Any

from httpx import Response

from testkit.jobs import png

URL = "/v1/interpolations"
KEY = {"Idempotency-Key": "shot-12a/take-3"}


def files(*images: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Keyframes as a form sends them; without arguments two small drawings."""
    return [
        ("keyframe", (f"{index}.png", image, "image/png"))
        for index, image in enumerate(images or (png(color="teal"), png(color="gold")))
    ]


def problems(response: Response, status: int, code: str) -> dict[str, str]:
    """The document's problems, code by pointer, once its form is right."""
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), response.text
    document = response.json()
    assert (document["status"], document["code"], document["type"]) == (
        status,
        code,
        f"/errors/{code}",
    )
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"]
    assert document["detail"]
    return {entry["pointer"]: entry["code"] for entry in document.get("errors", [])}


def data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


def body(**fields: object) -> dict[str, object]:
    keyframes = [{"image": {"data": data_uri(png(color=color))}} for color in ("teal", "gold")]
    return {"keyframes": keyframes} | fields


def replayed(response: Response) -> bool:
    return response.headers.get("idempotent-replayed") == "true"


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (path, operation) for path, item in document["paths"].items() for operation in item.values()
    ]
