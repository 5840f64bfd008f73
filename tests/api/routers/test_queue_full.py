"""A queue that is full takes no more jobs, and says when to come back."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from httpx import AsyncClient

from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway

MAX_QUEUED = 2


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AsyncClient]:
    async with gateway(settings.model_copy(update={"max_queued": MAX_QUEUED})) as client:
        yield client


async def test_one_job_too_many_is_refused(
    client: AsyncClient, store: WorkerStore, stored_keys: Callable[[], set[str]]
) -> None:
    """Nothing of it stays; as soon as a worker takes a job there is room again."""
    for _ in range(MAX_QUEUED):
        assert (await client.post(URL, files=files())).status_code == 202
    kept = stored_keys()
    refused = await client.post(URL, files=files(), headers={"Idempotency-Key": "shot-12a"})
    problems(refused, 503, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert stored_keys() == kept

    store.claim("worker-1")
    again = await client.post(URL, files=files(), headers={"Idempotency-Key": "shot-12a"})
    assert again.status_code == 202, "the refusal did not use the key up"


async def test_limit_holds_for_many_at_once(client: AsyncClient, operator: OperatorStore) -> None:
    """It is checked in the step that makes the job."""
    answers = await asyncio.gather(*(client.post(URL, files=files()) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * MAX_QUEUED + [503] * 8
    assert operator.count_ready() == MAX_QUEUED


async def test_replay_is_answered_all_the_same(client: AsyncClient) -> None:
    """It asks for no further place."""
    first = await client.post(URL, files=files(), headers={"Idempotency-Key": "shot-12a"})
    await client.post(URL, files=files())
    again = await client.post(URL, files=files(), headers={"Idempotency-Key": "shot-12a"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
