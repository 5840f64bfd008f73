"""Single drawings of a result."""

import pytest
from httpx import AsyncClient

from core.objects.object_keys import drawing_key
from core.objects.storage import ObjectStorage, open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, problems
from testkit.api.jobs import finished_job, queued
from testkit.jobs import png


@pytest.fixture
async def job_id(any_client: AsyncClient, storage: ObjectStorage, store: WorkerStore) -> str:
    """A job that has ended, two of whose drawings are stored."""
    job_id = await finished_job(any_client, storage, store)
    for index, colour in ((0, "teal"), (3, "gold")):
        storage.put(drawing_key(job_id, 1, 1, index), png(color=colour), "image/png")
    return job_id


async def test_drawing_is_a_png_with_a_name(any_client: AsyncClient, job_id: str) -> None:
    """From a bucket too, so that a page may show it without a second host."""
    answer = await any_client.get(f"{URL}/{job_id}/drawings/3")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == png(color="gold")
    assert f"{job_id}-v1-0003.png" in answer.headers["content-disposition"]
    first = await any_client.get(f"{URL}/{job_id}/drawings/0", params={"variant": 1})
    assert first.content == png(color="teal")


async def test_who_has_it_is_not_sent_it_again(any_client: AsyncClient, job_id: str) -> None:
    tag = (await any_client.get(f"{URL}/{job_id}/drawings/3")).headers["etag"]
    again = await any_client.get(f"{URL}/{job_id}/drawings/3", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = await any_client.get(f"{URL}/{job_id}/drawings/0", headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("address", ["1", "16", "9" * 40, "3?variant=2"])
async def test_absent_drawing(any_client: AsyncClient, job_id: str, address: str) -> None:
    """Not stored, past the end, of a variant that was not asked for."""
    answer = await any_client.get(f"{URL}/{job_id}/drawings/{address}")
    assert problems(answer, 404, "not_found") == {}


@pytest.mark.parametrize(
    ("address", "pointer"), [("-1", "/n"), ("first", "/n"), ("3?variant=0", "/variant")]
)
async def test_number_that_is_none(
    any_client: AsyncClient, job_id: str, address: str, pointer: str
) -> None:
    answer = await any_client.get(f"{URL}/{job_id}/drawings/{address}")
    assert list(problems(answer, 422, "invalid_request")) == [pointer]


async def test_job_that_has_not_ended_has_none(client: AsyncClient) -> None:
    job_id = await queued(client)
    answer = await client.get(f"{URL}/{job_id}/drawings/0")
    assert problems(answer, 404, "not_found") == {}
    assert "is queued" in answer.json()["detail"]


async def test_other_tenants_see_none(
    tenants: tuple[AsyncClient, AsyncClient], settings: Settings, store: WorkerStore
) -> None:
    one, other = tenants
    storage = open_storage(settings)
    job_id = await finished_job(one, storage, store)
    storage.put(drawing_key(job_id, 1, 1, 0), png(), "image/png")
    assert (await one.get(f"{URL}/{job_id}/drawings/0")).status_code == 200
    assert problems(await other.get(f"{URL}/{job_id}/drawings/0"), 404, "not_found") == {}


async def test_deleted_with_the_job(any_client: AsyncClient, job_id: str) -> None:
    assert (await any_client.delete(f"{URL}/{job_id}")).status_code == 204
    assert (await any_client.get(f"{URL}/{job_id}/drawings/3")).status_code == 404
