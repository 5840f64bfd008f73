"""A tenant never sees that another's job or upload exists, whichever call it makes."""

import itertools
from typing import Any

import pytest
from httpx import AsyncClient, Response

from api.main import create_app
from core.records.ids import new_job_id, new_upload_id
from core.records.job import Timing
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import files
from testkit.jobs import MODEL, png, stored_output
from testkit.store.steps import claim

URL = "/v1/interpolations"

# calls that name no job: what they show of another tenant, and the test that shows it
WITHOUT_JOB = {
    ("GET", URL): "test_lists_are_apart",
    ("POST", URL): "test_uploads_are_apart, test_idempotency_keys_are_apart",
    ("POST", f"{URL}/estimate"): "test_uploads_are_apart",
    ("POST", "/v1/uploads"): "test_uploads_are_apart",
    (
        "POST",
        "/v1/webhooks/test",
    ): "signed with the own secret: test_a_tenant_without_a_secret_is_told_how_to_get_one",
    ("GET", "/v1/queue"): "test_queue_counts_and_names_nobody",
    ("GET", "/v1/models"): "what workers hold",
    (
        "GET",
        "/files/{key}",
    ): "the link's signature stands for itself: tests/api/routers/test_files.py",
    (
        "PUT",
        "/files/{key}",
    ): "the link's signature stands for itself: tests/api/routers/test_files.py",
    ("GET", "/healthz"): "nothing",
    ("GET", "/readyz"): "nothing",
}

Tenants = tuple[AsyncClient, AsyncClient]


def calls(settings: Settings) -> set[tuple[str, str]]:
    """Every method and path of the contract."""
    paths: dict[str, Any] = create_app(settings).openapi()["paths"]
    return {
        (method.upper(), path)
        for path, item in paths.items()
        for method in item
        if method != "parameters"
    }


def without_ids(response: Response, *ids: str) -> tuple[int, str, set[str]]:
    """An answer as it would be for whatever id."""
    text = response.text.replace(response.headers["x-request-id"], "{request}")
    for one in ids:
        text = text.replace(one, "{id}")
    return response.status_code, text, set(response.headers)


async def submit(client: AsyncClient, **options: Any) -> Response:
    answer = await client.post(URL, files=files(), **options)
    assert answer.status_code == 202, answer.text
    return answer


async def uploaded(client: AsyncClient) -> str:
    """Id of an upload whose bytes have come."""
    made = (await client.post("/v1/uploads")).json()
    assert (await client.put(made["upload_url"], content=png())).status_code == 201
    return str(made["id"])


def test_every_call_has_its_case(settings: Settings) -> None:
    """A new one either names a job, and is tried below, or says here what it shows."""
    assert {call for call in calls(settings) if "{job_id}" not in call[1]} == set(WITHOUT_JOB)


async def test_calls_with_another_tenants_job(
    tenants: Tenants, settings: Settings, store: WorkerStore
) -> None:
    """Waiting, running or ended: the answer is the one for an id that never was, and nothing
    happens to the job.
    """
    owner, other = tenants
    ended, running, waiting = [(await submit(owner)).json()["id"] for _ in range(3)]
    store.succeed(claim(store), [stored_output()], Timing(), MODEL)
    claim(store)
    before = [
        (await owner.get(f"{URL}/{job_id}")).json() | {"outputs": []}
        for job_id in (ended, running, waiting)
    ]
    assert [job["status"] for job in before] == ["succeeded", "running", "queued"]
    with_job = sorted(call for call in calls(settings) if "{job_id}" in call[1])
    assert len(with_job) >= 5
    for (method, path), job_id in itertools.product(with_job, (ended, running, waiting)):
        missing = new_job_id()
        answers = [
            without_ids(
                await other.request(method, path.format(job_id=one, name="video.mp4", n=1)), one
            )
            for one in (job_id, missing)
        ]
        assert answers[0] == answers[1], f"{method} {path}"
        assert answers[0][0] == 404, f"{method} {path}"
    after = [(await owner.get(f"{URL}/{job['id']}")).json() | {"outputs": []} for job in before]
    assert after == before


async def test_calls_that_wait_for_another_tenants_job(tenants: Tenants) -> None:
    """They are refused at once, and tell of no change."""
    owner, other = tenants
    job = (await submit(owner)).json()
    answer = await other.get(f"{URL}/{job['id']}", headers={"Prefer": "wait=60"})
    assert answer.status_code == 404


async def test_lists_are_apart(tenants: Tenants) -> None:
    """Of whatever status, and behind another tenant's job as a cursor."""
    owner, other = tenants
    first, second = [(await submit(owner)).json()["id"] for _ in range(2)]
    own = (await submit(other)).json()["id"]
    for query in ("", "?status=queued"):
        listed = [
            [job["id"] for job in (await client.get(f"{URL}{query}")).json()["data"]]
            for client in tenants
        ]
        assert listed == [[second, first], [own]]
    assert (await other.get(f"{URL}?cursor={second}")).json()["data"] == []


@pytest.mark.parametrize("path", [URL, f"{URL}/estimate"])
async def test_uploads_are_apart(tenants: Tenants, path: str) -> None:
    """Another tenant's upload is as unknown as one that never was."""
    owner, other = tenants
    upload, missing = await uploaded(owner), new_upload_id()

    def body(first: str) -> dict[str, Any]:
        return {"keyframes": [{"image": {"upload": first}}, {"image": {"upload": first}}]}

    assert (await owner.post(path, json=body(upload))).is_success
    refused = [
        without_ids(await other.post(path, json=body(one)), one) for one in (upload, missing)
    ]
    assert refused[0] == refused[1]
    assert refused[0][0] == 422
    assert "upload_not_found" in refused[0][1]


async def test_idempotency_keys_are_apart(tenants: Tenants) -> None:
    """The same key makes a job for each tenant, and replays each its own."""
    header = {"Idempotency-Key": "shot-12a"}
    first = [(await submit(client, headers=header)).json()["id"] for client in tenants]
    again = [await client.post(URL, files=files(), headers=header) for client in tenants]
    assert len(set(first)) == 2
    assert [(answer.status_code, answer.json()["id"]) for answer in again] == [
        (200, job_id) for job_id in first
    ]


async def test_queue_counts_and_names_nobody(tenants: Tenants) -> None:
    """How much waits is for all to see, since it decides how long one waits oneself; whose it is,
    is not.
    """
    owner, other = tenants
    job_id = (await submit(owner)).json()["id"]
    seen = await other.get("/v1/queue")
    assert seen.json()["lanes"][0]["depth"] == 1
    assert job_id not in seen.text
    assert "studio-a" not in seen.text


async def test_a_job_does_not_show_its_tenant(tenants: Tenants) -> None:
    """Neither in its own tenant's eyes: an operator's names are no part of the contract."""
    assert "studio-a" not in (await submit(tenants[0])).text
