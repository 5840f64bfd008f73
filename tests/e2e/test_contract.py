"""What callers rely on, a promise each, at a whole stack: gateway, Redis, dispatcher, deliverer,
worker with a stand-in for the model.
"""

import json
import re
import time
from typing import Any

import httpx
import pytest

from testkit.api.calls import data_uri, problems
from testkit.client import KEYFRAMES, Client

URL = "/v1/interpolations"
SMALL = {"steps": 1, "width": 128, "height": 128}
LONG = {"steps": 60, "width": 1024, "height": 1024}
IMAGES = [{"image": {"data": data_uri(key.read_bytes())}} for key in KEYFRAMES]
WAIT_SECONDS = 50  # below the 55 s after which a gateway answers in any case
WAIT = {"Prefer": f"wait={WAIT_SECONDS}"}


def form() -> list[tuple[str, Any]]:
    return [("keyframe", (key.name, key.read_bytes(), "image/png")) for key in KEYFRAMES]


def submit(client: Client, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    """In JSON, and with a minute's patience."""
    body = {"keyframes": IMAGES, **SMALL, **fields}
    return client.http.post(URL, json=body, headers=headers, timeout=90)


def events_of(text: str) -> list[dict[str, Any]]:
    found = [
        dict(line.split(": ", 1) for line in part.split("\n") if ": " in line)
        for part in text.split("\n\n")
    ]
    return [{**one, "data": json.loads(one["data"])} for one in found if "event" in one]


@pytest.fixture
def ended(client: Client) -> dict[str, Any]:
    """A job that has succeeded."""
    return client.wait(submit(client).json()["id"])


def test_two_files_alone_are_a_complete_request(client: Client) -> None:
    """202 with the job, the address at which it is read, and when it is worth asking."""
    answer = client.http.post(URL, files=form())
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"{URL}/{job['id']}")
    assert re.fullmatch(r"itp_[0-9A-HJKMNP-TV-Z]{26}", job["id"])
    assert int(answer.headers["retry-after"]) > 0
    assert (job["object"], job["status"], job["version"]) == ("interpolation", "queued", 1)
    assert client.http.post(f"{URL}/{job['id']}/cancel").status_code == 200


def test_who_prefers_to_wait_gets_the_ended_job(client: Client) -> None:
    """200 with the ended job; 202 with an unended one only after all of the time has passed."""
    begun = time.monotonic()
    answer = submit(client, WAIT)
    has_waited = time.monotonic() - begun >= WAIT_SECONDS
    assert answer.headers["preference-applied"] == f"wait={WAIT_SECONDS}"
    status = answer.json()["status"]
    assert (answer.status_code, status) == (200, "succeeded") or (
        has_waited and (answer.status_code, status) in ((202, "running"), (202, "queued"))
    )


def test_same_key_and_body_are_the_first_job_again(client: Client) -> None:
    """And the same key with another body is refused."""
    key = {"Idempotency-Key": "take-1"}
    first, again = submit(client, key), submit(client, key)
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (
        202,
        200,
        "true",
    )
    assert again.json()["id"] == first.json()["id"]
    problems(submit(client, key, fps=12), 422, "idempotency_key_reused")


def test_long_poll_holds_until_the_state_changes(client: Client) -> None:
    """From 202 to the end without a second question of the same state; an ended one is known:
    304.
    """
    job_id = submit(client).json()["id"]
    versions, headers = [], dict(WAIT)
    while True:
        answer = client.http.get(f"{URL}/{job_id}", headers=headers, timeout=90)
        if answer.status_code == 304:  # nothing for a minute, on a slow machine
            continue
        versions.append(answer.json()["version"])
        headers["If-None-Match"] = answer.headers["etag"]
        if answer.json()["status"] == "succeeded":
            break
    assert versions == sorted(set(versions))
    known = {"If-None-Match": headers["If-None-Match"]}
    assert client.http.get(f"{URL}/{job_id}", headers=known).status_code == 304


def test_list_goes_through_all_jobs_the_newest_first(client: Client, ended: dict[str, Any]) -> None:
    """In pages, each with a link to the next; also of one status."""
    submit(client)
    page = client.http.get(URL, params={"limit": 1})
    (newest,) = page.json()["data"]
    assert page.json()["next_cursor"] == newest["id"] > ended["id"]
    (older,) = client.http.get(page.links["next"]["url"]).json()["data"]
    assert older["id"] < newest["id"]
    statuses = {
        one["status"] for one in client.http.get(URL, params={"status": "succeeded"}).json()["data"]
    }
    assert statuses == {"succeeded"}


def test_cancel_ends_a_running_job_and_never_another(client: Client, ended: dict[str, Any]) -> None:
    """Within one denoising step; twice is once; an ended job is returned as it is. Until then it
    cannot be deleted.
    """
    job_id = submit(client, **LONG).json()["id"]
    client.wait(job_id, "running")
    problems(client.http.delete(f"{URL}/{job_id}"), 409, "job_not_finished")
    assert client.http.post(f"{URL}/{job_id}/cancel").status_code == 200
    assert client.wait(job_id)["status"] == "canceled"
    assert client.http.post(f"{URL}/{job_id}/cancel").json()["status"] == "canceled"
    assert client.http.post(f"{URL}/{ended['id']}/cancel").json()["version"] == ended["version"]


def test_delete_removes_the_record_and_every_object(client: Client, ended: dict[str, Any]) -> None:
    """204, then 404 at its address and at every link that was given out."""
    link = ended["outputs"][0]["url"]
    assert client.http.get(link).status_code == 200
    assert client.http.delete(f"{URL}/{ended['id']}").status_code == 204
    for address in (f"{URL}/{ended['id']}", f"{URL}/{ended['id']}/outputs/video.mp4", link):
        problems(client.http.get(address), 404, "not_found")


def test_events_tell_all_from_the_queue_to_the_end(client: Client) -> None:
    """It begins with the current status and ends after the final one; `Last-Event-ID` resumes; then
    204.
    """
    address = f"{URL}/{submit(client, steps=4).json()['id']}/events"
    answer = client.http.get(address, timeout=240)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events_of(answer.text)
    assert (told[0]["event"], told[-1]["event"], told[-1]["data"]["status"]) == (
        "status",
        "status",
        "succeeded",
    )
    stages = [one["data"]["stage"] for one in told if one["event"] == "progress"]
    assert "denoising" in stages
    ids = [int(one["id"]) for one in told if one["event"] != "preview"]  # those are not stored
    assert ids == sorted(set(ids))
    rest = events_of(client.http.get(address, headers={"Last-Event-ID": told[0]["id"]}).text)
    assert rest[-1]["data"]["status"] == "succeeded"
    assert client.http.get(address, headers={"Last-Event-ID": told[-1]["id"]}).status_code == 204


def test_output_is_bytes_with_ranges_or_a_link_that_needs_no_key(
    client: Client, ended: dict[str, Any]
) -> None:
    """So that a `<video>` can seek."""
    (output,) = ended["outputs"]
    whole = client.http.get(f"{URL}/{ended['id']}/outputs/{output['name']}")
    assert (whole.status_code, len(whole.content), whole.headers["content-type"]) == (
        200,
        output["bytes"],
        "video/mp4",
    )
    part = client.http.get(output["url"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    problems(
        client.http.get(output["url"], headers={"Range": "bytes=99999999-"}),
        416,
        "range_not_satisfiable",
    )
    problems(client.http.get(output["url"].replace("signature=", "signature=0")), 403, "forbidden")


def test_upload_is_sent_once_and_used_often(client: Client) -> None:
    """POST, PUT, then by its id wherever an image stands."""
    upload = client.http.post("/v1/uploads").json()
    assert (
        client.http.put(upload["upload_url"], content=KEYFRAMES[0].read_bytes()).status_code == 201
    )
    image = {"image": {"upload": upload["id"]}}
    for _ in range(2):
        assert submit(client, keyframes=[image, image]).status_code == 202


def test_job_tells_what_was_understood_and_what_it_took(
    client: Client, ended: dict[str, Any]
) -> None:
    """Defaults filled in, the seed resolved, images by digest; stages in seconds, the model and its
    device.
    """
    assert (ended["progress"], ended["queue_position"], ended["error"], ended["attempts"]) == (
        None,
        None,
        None,
        1,
    )
    assert ended["created_at"] <= ended["started_at"] <= ended["finished_at"] < ended["expires_at"]
    request, timing = ended["request"], ended["timing"]
    assert {name: request[name] for name in ("eta", "guidance_scale", "fps", "frame_stride")} == {
        "eta": 1.0, "guidance_scale": 7.5, "fps": 8, "frame_stride": 10,
    }  # fmt: skip
    assert isinstance(request["seed"], int)
    image = request["keyframes"][0]["image"]
    assert image.keys() == {"sha256", "content_type", "width", "height", "bytes", "has_alpha"}
    assert timing["denoise_seconds"] > 0
    assert timing["run_seconds"] >= timing["denoise_seconds"]
    assert ended["model"]["trained"] is False
    assert ended["outputs"][0].items() >= {"frames": 16, "fps": 8, "format": "mp4"}.items()


def test_deployment_says_what_it_can_and_what_waits(client: Client, ended: dict[str, Any]) -> None:
    """Plan, models, queue, health, contract; nothing of it makes a job."""
    plan = client.estimate()
    assert (plan["segments"], plan["frames"]) == (1, 16)
    assert plan["based_on"]["runs"] > 0
    (model,) = client.http.get("/v1/models").json()["data"]
    assert (model["trained"], model["limits"]["max_steps"]) == (False, 60)
    queue = client.http.get("/v1/queue").json()
    assert [lane["priority"] for lane in queue["lanes"]] == ["interactive", "batch"]
    for address in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert client.http.get(address).status_code == 200
    problems(client.http.get("/metrics"), 404, "not_found")


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"quality": "preview"}, "/quality", "not_available"),
        ({"model": "unheard_of"}, "/model", "unknown_model"),
        ({"upscale": 2}, "/upscale", "unknown_field"),
        ({"outputs": [{"format": "exr"}]}, "/outputs/0/format", "invalid_value"),
    ],
)
def test_what_does_not_exist_yet_is_refused_never_ignored(
    client: Client, fields: dict[str, Any], pointer: str, code: str
) -> None:
    """Fields and formats that come with later work, and models that are not served."""
    assert problems(submit(client, **fields), 422, "invalid_request") == {pointer: code}


def test_every_refusal_is_a_problem_document(client: Client) -> None:
    """By the parser, the router or a rule; `type` leads to a page, the id is the caller's."""
    http, as_json = client.http, {"Content-Type": "application/json"}
    refusals = [
        (http.post(URL, content="{", headers=as_json), 400, "malformed_body"),
        (http.get("/nowhere"), 404, "not_found"),
        (http.get(f"{URL}/itp_wrong"), 404, "not_found"),
        (http.put(URL), 405, "method_not_allowed"),
        (http.post(URL, content=bytes(64 * 2**20 + 1), headers=as_json), 413, "body_too_large"),
        (
            http.post(URL, files=[*form(), ("keyframe", ("c.png", bytes(20 * 2**20 + 1)))]),
            413,
            "image_too_large",
        ),
        (
            http.post(URL, content="x", headers={"Content-Type": "text/plain"}),
            415,
            "unsupported_media_type",
        ),
        (http.post(URL, json={"keyframes": IMAGES, "steps": 200}), 422, "invalid_request"),
    ]
    for answer, status, code in refusals:
        problems(answer, status, code)
        assert http.get(answer.json()["type"]).text.startswith(code)
    named = http.get("/nowhere", headers={"X-Request-ID": "shot-12a"})
    assert named.headers["x-request-id"] == named.json()["request_id"] == "shot-12a"
