"""What callers entrust to the service, at every place where they can: none of it is in a log, a
metric or an error.
"""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.objects.s3 import s3_client
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys
from core.store.tenants.webhook_secrets import WebhookSecrets
from scripts.stack import Stack
from testkit.canaries import Caller, Canaries
from testkit.images.corpus import png_of
from testkit.jobs import drawing, encoded
from testkit.servers import S3Server, free_port, wait_until
from testkit.stacks import without_torch
from testkit.web import Visit, WebServer, http, web_server

JOBS = "/v1/interpolations"
PROCESSES = {"gateway", "dispatcher", "webhooks", "worker"}


@pytest.fixture(params=[pytest.param("folder", marks=pytest.mark.long), "bucket"])
def storage_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Either kind of storage: each has links, and a library that could log them."""
    if request.param == "folder":
        return {}
    server: S3Server = request.getfixturevalue("s3_server")
    settings = {
        "s3_bucket": f"bucket-{secrets.token_hex(4)}",
        "s3_endpoint_url": server.url,
        "s3_access_key_id": server.access_key,
        "s3_secret_access_key": server.secret_key,
    }
    with closing(s3_client(Settings(**settings))) as client:
        client.create_bucket(Bucket=settings["s3_bucket"])
    return settings


async def test_what_callers_entrust_is_written_nowhere(
    new_stack: Callable[..., Stack], storage_settings: dict[str, str]
) -> None:
    """Good and bad requests, all processes at their most talkative."""
    canaries = Canaries()
    image = encoded(drawing(), "TIFF", tiffinfo={270: canaries.new("image")})
    async with web_server(_serve(image)) as elsewhere:
        stack = new_stack(
            log_level="debug",
            allowed_hosts=json.dumps(
                [f"127.0.0.1:{elsewhere.port}", f"127.0.0.1:{(closed := free_port())}"]
            ),
            **storage_settings,
        )
        if storage_settings:  # what a real model prints is looked at with the folder
            without_torch(stack)
        await asyncio.to_thread(stack.start)
        redis_url = (stack.state / "redis.url").read_text()
        with (
            closing(ApiKeys(redis_url)) as keys,
            closing(WebhookSecrets(redis_url)) as webhook_secrets,
        ):
            key = keys.create("studio-a").key
            canaries.known("API key", key.split("_", 2)[2])
            made = webhook_secrets.create("studio-a").secret
            canaries.known("webhook secret", made.removeprefix("whsec_"))
        if storage_settings:
            canaries.known("secret of the bucket", storage_settings["s3_secret_access_key"])
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as client:
            caller = Caller(client)
            job_ids = await _send_good_requests(caller, canaries, elsewhere, image)
            await _send_bad_requests(
                caller, canaries, elsewhere, closed, in_bucket=bool(storage_settings)
            )
            jobs = [await _ended(caller, job_id) for job_id in job_ids]
            for job in jobs:
                await _follow_links(job, canaries)
            told = partial(_count_messages, elsewhere)
            await asyncio.to_thread(
                wait_until, lambda: told() == 2, "a test event and that of a job have come"
            )
            shown = await _what_is_shown(caller)
        metrics = await _metrics(stack)
        await asyncio.to_thread(stack.stop)

    assert [job["status"] for job in jobs] == ["succeeded"] * len(jobs)
    logs = {
        path.stem: path.read_text(errors="replace") for path in (stack.state / "logs").iterdir()
    }
    assert logs.keys() >= PROCESSES
    assert '"level": "debug"' in "".join(logs.values())
    for name, text in {**logs, "up": stack.output}.items():
        assert canaries.found_in(text) == set(), name
    assert canaries.found_in(metrics) == set()
    assert [
        (refusal, found) for refusal in caller.refusals if (found := canaries.found_in(refusal))
    ] == []
    # its caller sees them again
    of_the_job = {"prompt", "negative prompt", "metadata", "link of a result"}
    assert canaries.found_in(shown) - of_the_job == set()


async def _send_good_requests(
    caller: Caller, canaries: Canaries, elsewhere: WebServer, image: bytes
) -> list[str]:
    """Ids of jobs in every form that a submission has, with something in every place."""
    small = {"steps": 2, "width": 128, "height": 128}
    hook, token = canaries.new("path of a webhook"), canaries.new("query of a webhook")
    webhook = f"{elsewhere.url}/hook/{hook}?token={token}"
    fields = {
        **small,
        "prompt": canaries.new("prompt"),
        "negative_prompt": canaries.new("negative prompt"),
        "metadata": {"shot": canaries.new("metadata")},
        "webhook": {"url": webhook},
    }
    names = [canaries.new("file name"), canaries.new("file name")]
    form = [("keyframe", (f"{name}.tif", image, "image/tiff")) for name in names]
    key = {"Idempotency-Key": canaries.new("idempotency key")}
    for _ in range(2):  # the second time it is a replay
        first = await caller.accepted(
            JOBS, files=[*form, ("request", (None, json.dumps(fields)))], headers=key
        )

    data = {"data": f"data:image/tiff;base64,{base64.b64encode(image).decode()}"}
    path, signature = canaries.new("path of an image"), canaries.new("query of an image")
    remote = {"url": f"{elsewhere.url}/image/{path}?sig={signature}"}
    second = await caller.accepted(
        JOBS, json={**small, "keyframes": [{"image": data}, {"image": remote}]}
    )

    upload = await caller.accepted("/v1/uploads")
    _note_signature(canaries, "link of an upload", upload["upload_url"])
    async with httpx.AsyncClient(timeout=60) as anybody:
        sent = await anybody.put(upload["upload_url"], content=image)
    assert sent.is_success, sent.text
    by_upload = {**small, "keyframes": [{"image": {"upload": upload["id"]}}] * 2}
    third = await caller.accepted(JOBS, json=by_upload)
    await caller.accepted(f"{JOBS}/estimate", json=by_upload)
    await caller.accepted(
        "/v1/webhooks/test", json={"url": f"{webhook}&test={canaries.new('query of a test')}"}
    )
    caller.answers.clear()  # they tell the caller what it said itself
    return [first["id"], second["id"], third["id"]]


async def _send_bad_requests(
    caller: Caller, canaries: Canaries, elsewhere: WebServer, closed: int, *, in_bucket: bool
) -> None:
    """What is refused, and what fails later: mostly while it is told what is wrong with it."""
    good = {"data": f"data:image/png;base64,{base64.b64encode(encoded(drawing())).decode()}"}
    broken = png_of([(b"tEXt", b"Comment\0" + canaries.new("broken image").encode())], pixels=b"")
    here = f"127.0.0.1:{elsewhere.port}"
    wrong_images = [
        {"url": f"http://user:{canaries.new('password of an image')}@{here}/image"},
        {"url": f"{elsewhere.url}/absent?sig={canaries.new('query of an absent image')}"},
        {"url": f"http://127.0.0.1:{closed}/image?sig={canaries.new('query of an image nowhere')}"},
        {"url": f"https://[{canaries.new('host of an image')}/"},
        {"url": f"ftp://127.0.0.1/{canaries.new('image by another scheme')}"},
        {"data": f"data:image/png;base64,{canaries.new('text of an image')}*"},
        {"data": canaries.new("image without a scheme")},
        {"data": f"data:image/png;base64,{base64.b64encode(broken).decode()}"},
        {"upload": canaries.new("upload"), "data": canaries.new("second source")},
    ]
    for image in wrong_images:
        await caller.refused(
            422, "POST", JOBS, json={"keyframes": [{"image": good}, {"image": image}]}
        )
    wrong_fields: list[dict[str, Any]] = [
        {"prompt": {"text": canaries.new("prompt of another type")}},
        {"prompt": canaries.new("long prompt") * 100},
        {"metadata": {"shot": [canaries.new("metadata of another type")]}},
        {"webhook": {"url": f"http://user:{canaries.new('password of a webhook')}@{here}/"}},
        {
            "webhook": {
                "url": f"https://10.0.0.1/?token={canaries.new('query of a private webhook')}"
            }
        },
        {"webhook": {"url": [canaries.new("webhook of another type")]}},
        {
            "keyframes": [f"{elsewhere.url}/image?sig={canaries.new('image in the wrong place')}"]
            * 2
        },
        {"webhook": f"{elsewhere.url}/?token={canaries.new('webhook in the wrong place')}"},
    ]
    for fields in wrong_fields:
        await caller.refused(
            422, "POST", JOBS, json={"keyframes": [{"image": good}, {"image": good}], **fields}
        )
    form = [("keyframe", (canaries.new("name of a broken file"), broken, "image/png"))] * 2
    await caller.refused(422, "POST", JOBS, files=form)
    as_json = {"Content-Type": "application/json"}
    await caller.refused(
        400, "POST", JOBS, content=f'{{"prompt": "{canaries.new("cut body")}', headers=as_json
    )
    await caller.refused(
        422, "POST", JOBS, json={}, headers={"Idempotency-Key": canaries.new("long key") * 20}
    )
    for name, value in (
        ("wrong key", "Bearer tck_01_{}"),
        ("password", "Basic {}"),
        ("scheme", "{}"),
    ):
        headers = {"Authorization": value.format(canaries.new(name))}
        await caller.refused(401, "GET", JOBS, headers=headers)
    await caller.refused(404, "GET", f"/nothing?api_key={canaries.new('key in a query')}")
    link = f"/files/jobs/video.mp4?expires=9999999999&signature={canaries.new('signature')}"
    await caller.refused(404 if in_bucket else 403, "GET", link)
    failing = {
        "webhook": {
            "url": f"http://127.0.0.1:{closed}/?token={canaries.new('query of a failing webhook')}"
        }
    }
    job = await caller.accepted(
        JOBS, json={"keyframes": [{"image": good}] * 2, **failing, "steps": 2}
    )
    await caller.accepted(f"{JOBS}/{job['id']}/cancel")
    caller.answers.clear()


async def _ended(caller: Caller, job_id: str) -> dict[str, Any]:
    """The job once it has ended."""
    while True:
        response = await caller.http.get(f"{JOBS}/{job_id}", headers={"Prefer": "wait=20"})
        job: dict[str, Any] = response.json()
        if job["status"] not in ("queued", "running"):
            return job


async def _follow_links(job: dict[str, Any], canaries: Canaries) -> None:
    (output,) = job["outputs"]
    _note_signature(canaries, "link of a result", output["url"])
    async with httpx.AsyncClient(timeout=60) as anybody:
        assert (await anybody.get(output["url"])).is_success
        assert (await anybody.get(f"{output['url']}0")).status_code == 403


def _note_signature(canaries: Canaries, what: str, link: str) -> None:
    """What makes a link a key."""
    query = parse_qs(urlsplit(link).query)
    canaries.known(
        what, (query.get("signature") or query.get("X-Amz-Signature") or query["Signature"])[0]
    )


def _count_messages(receiver: WebServer) -> int:
    return sum(visit.resource.startswith("/hook") for visit in receiver.visits)


async def _what_is_shown(caller: Caller) -> str:
    """Every answer about the jobs."""
    page = await caller.read(f"{JOBS}?limit=100")
    for job in page["data"]:
        await caller.read(f"{JOBS}/{job['id']}")
        await caller.read(f"{JOBS}/{job['id']}/deliveries")
    await caller.read("/v1/queue")
    await caller.read("/v1/models")
    return "".join(caller.answers)


async def _metrics(stack: Stack) -> str:
    """All that Prometheus reads."""
    places = [
        target
        for group in json.loads((stack.state / "metrics.json").read_text())
        for target in group["targets"]
    ]
    assert len(places) == len(PROCESSES)
    async with httpx.AsyncClient() as prometheus:
        return "".join([(await prometheus.get(f"http://{place}/metrics")).text for place in places])


def _serve(image: bytes) -> Callable[[Visit], AsyncIterator[bytes]]:
    """Images under `/image`, nothing under `/absent`, and a receiver of webhooks under all else."""

    async def answer(visit: Visit) -> AsyncIterator[bytes]:
        if visit.resource.startswith("/absent"):
            yield http(status="404 Not Found")
        else:
            yield http(image if visit.resource.startswith("/image") else b"")

    return answer
