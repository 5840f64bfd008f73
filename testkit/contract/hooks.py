"""What a schema cannot say of good data: that bytes are an image, that an address answers, that a
link was given out.

Schemathesis imports this. Calls that are meant to be refused stay as they were generated.
"""

import itertools
import json
import os
from base64 import b64encode
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import schemathesis
import yaml
from jsonschema import Draft202012Validator
from schemathesis import Case, CheckContext, HookContext, Response

from testkit.jobs import png
from testkit.servers import ROOT

_USERS = json.loads(Path(os.environ["CONTRACT_KEYS"]).read_text())["auth"]
CALLERS = [user["fixedHeaders"][0]["value"] for user in _USERS]
GATEWAY = os.environ["CONTRACT_GATEWAY"]
FRIEND = f"http://{os.environ['CONTRACT_FRIEND']}"  # has an image, and takes messages
MAX_EXPIRES_IN = 604_800  # the operator's, which the schema cannot know

_CONTRACT = yaml.safe_load((ROOT / "openapi.yaml").read_text())
_turns = itertools.count()
_ranges = itertools.cycle(["bytes=0-1", "bytes=99-", "bytes=-2", "bytes=0-0,2-3", "bytes=3-1"])


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Where a key was made, a call without one is no alternative any more."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            if "security" in operation:
                operation["security"] = [choice for choice in operation["security"] if choice]


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Make good what a schema leaves open. Callers sit at many addresses: wrong keys of one are
    soon not looked at.
    """
    case.headers["X-Forwarded-For"] = f"198.51.100.{next(_turns) % 250}"
    if (
        case.meta is None
        or not case.meta.generation.mode.is_positive
        or case.headers["Authorization"] not in CALLERS
    ):
        return
    operation = case.operation.definition.raw["operationId"]
    if operation in ("submit", "estimate"):
        _complete_submission(case, kwargs)
    elif operation == "test_webhook":
        case.body["url"] = f"{FRIEND}/hook"
    elif operation in ("read_file", "write_file") and next(_turns) % 2:
        _use_real_link(case, kwargs, operation)
    elif operation == "download" and next(_turns) % 2:
        case.headers["Range"] = next(_ranges)
    elif operation == "redeliver" and next(_turns) % 2:
        case.path_parameters |= _delivery(case.headers["Authorization"])


def _complete_submission(case: Case, kwargs: dict[str, Any]) -> None:
    as_json = case.media_type == "application/json"
    fields = case.body if as_json else deepcopy(case.body.get("request", {}))
    for keyframe in fields.get("keyframes", []):
        keyframe["image"] = _real_image(keyframe["image"], case.headers["Authorization"])
    if fields.get("webhook"):
        fields["webhook"]["url"] = f"{FRIEND}/hook"
    # `dependentRequired` is overlooked by the tool's coverage phase
    if ("width" in fields) != ("height" in fields):
        fields["width"] = fields["height"] = fields.get("width", fields.get("height"))
    # whether another request came with a key before is no matter of form
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"key-{next(_turns)}"
    if fields.get("expires_in"):
        fields["expires_in"] = min(fields["expires_in"], MAX_EXPIRES_IN)
    # sent past the case: the tool takes a body with real files in it for a wrong one
    if not as_json:
        files = [
            ("keyframe", (f"{color}.png", png(color=color), "image/png"))
            for color in ("teal", "gold")
        ]
        fields.pop("keyframes", None)
        kwargs["files"] = [*files, ("request", (None, json.dumps(fields), "application/json"))]


def _real_image(source: dict[str, Any], authorization: str) -> dict[str, Any]:
    """One of the same kind; a JSON body has no parts."""
    if "upload" in source:
        return {"upload": _upload(authorization)}
    if "url" in source:
        return {"url": f"{FRIEND}/a.png"}
    return {"data": f"data:image/png;base64,{b64encode(png()).decode()}"}


@cache
def _upload(authorization: str) -> str:
    """An upload of this caller's that many jobs use."""
    upload = _new_upload(authorization)
    httpx.put(upload["upload_url"], content=png()).raise_for_status()
    return str(upload["id"])


@cache
def _delivery(authorization: str) -> dict[str, Any]:
    """An event of a job of this caller's, as an address names it."""
    image = {"image": {"upload": _upload(authorization)}}
    body = {"keyframes": [image, image], "webhook": {"url": f"{FRIEND}/hook"}}
    headers = {"Authorization": authorization, "Prefer": "wait=30"}
    job = httpx.post(f"{GATEWAY}/v1/interpolations", json=body, headers=headers, timeout=60).json()
    log = httpx.get(f"{GATEWAY}/v1/interpolations/{job['id']}/deliveries", headers=headers).json()
    return {"job_id": job["id"], "n": log["data"][0]["n"]}


def _new_upload(authorization: str) -> dict[str, Any]:
    answer = httpx.post(f"{GATEWAY}/v1/uploads", headers={"Authorization": authorization})
    answer.raise_for_status()
    upload: dict[str, Any] = answer.json()
    return upload


def _use_real_link(case: Case, kwargs: dict[str, Any], operation: str) -> None:
    """As the service gave it out; to a caller, whom the link itself does not ask for a key."""
    authorization = CALLERS[0]
    if operation == "write_file":
        kwargs["data"] = png()
        link = _new_upload(authorization)["upload_url"]
    else:
        query = {"status": "succeeded", "limit": 1}
        page = httpx.get(
            f"{GATEWAY}/v1/interpolations", params=query, headers={"Authorization": authorization}
        ).json()
        link = next((job["outputs"][0]["url"] for job in page["data"]), None)
    if link:
        address = urlsplit(link)
        case.path_parameters["key"] = unquote(address.path).removeprefix("/files/")
        case.query = dict(parse_qsl(address.query))


@schemathesis.check
def events_are_whole(context: CheckContext, response: Response, case: Case) -> bool | None:
    """Each event of a stream has a name, an id, and data of the form that the contract gives to
    what it tells.
    """
    if case.operation.definition.raw.get("operationId") != "events" or response.status_code != 200:
        return None
    for text in response.text.split("\n\n"):
        fields = dict(
            line.split(": ", 1)
            for line in text.split("\n")
            if line and not line.startswith((":", "retry"))
        )
        if fields:
            assert fields.keys() == {"event", "id", "data"}, f"not a whole event: {text}"
            model = {"status": "JobView", "progress": "Progress"}[fields["event"]]
            schema = {
                "$ref": f"#/components/schemas/{model}",
                "components": _CONTRACT["components"],
            }
            Draft202012Validator(schema).validate(json.loads(fields["data"]))
            assert int(fields["id"]) > 0
    return None
