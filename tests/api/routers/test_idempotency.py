"""A request that is sent twice makes one job."""

import asyncio
import json
from collections.abc import Callable

import pytest
from httpx import AsyncClient

from api.services.idempotency import VERSION
from core.objects.object_keys import input_key
from core.records.job import Timing
from core.store import redis_keys
from core.store.roles.gateway import IDEMPOTENCY_LIFE
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.api.calls import KEY, URL, body, data_uri, files, problems, replayed
from testkit.jobs import MODEL, png, stored_output
from testkit.servers import RedisServer


async def test_same_key_and_body_answer_the_first_job(
    any_client: AsyncClient,
    store: WorkerStore,
    operator: OperatorStore,
    stored_keys: Callable[[], set[str]],
) -> None:
    """Even where the seed is left to chance; and nothing of the second request stays."""
    first = await any_client.post(URL, files=files(), headers=KEY)
    again = await any_client.post(URL, files=files(), headers=KEY)
    assert (first.status_code, replayed(first)) == (202, False)
    assert (again.status_code, replayed(again)) == (200, True)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    job = store.get(first.json()["id"])
    assert job is not None
    assert stored_keys() == {
        input_key(job.id, keyframe.image) for keyframe in job.request.keyframes
    }
    assert operator.count_ready() == 1


async def test_replay_shows_the_job_as_it_is_now(client: AsyncClient, store: WorkerStore) -> None:
    """Who lost the first answer hears how far the job came."""
    await client.post(URL, files=files(), headers=KEY)
    claim = store.claim("worker-1")
    assert claim is not None
    store.succeed(claim, [stored_output()], Timing(), MODEL)
    again = await client.post(URL, files=files(), headers=KEY)
    assert (again.json()["status"], replayed(again)) == ("succeeded", True)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 3},
        {"metadata": {"take": "4"}},
        {"expires_in": 3600},
        {"exposure": 2},
        {"outputs": [{"format": "gif"}]},
        {"outputs": [{"format": "mp4"}, {"format": "png", "start": 2}]},
        {"sketches": [{"image": {"data": data_uri(png())}, "frame": 1}]},
    ],
)
async def test_another_field_is_another_request(
    client: AsyncClient,
    operator: OperatorStore,
    stored_keys: Callable[[], set[str]],
    change: dict[str, object],
) -> None:
    """It would be wrong to answer with a job that does something else."""
    await client.post(URL, json=body(), headers=KEY)
    before = stored_keys()
    response = await client.post(URL, json=body(**change), headers=KEY)
    assert problems(response, 422, "idempotency_key_reused") == {}
    assert operator.count_ready() == 1
    assert stored_keys() == before


async def test_another_image_is_another_request(client: AsyncClient) -> None:
    """So are the same images in another order."""
    teal, gold = png(color="teal"), png(color="gold")
    await client.post(URL, files=files(teal, gold), headers=KEY)
    for images in ((teal, teal), (gold, teal)):
        response = await client.post(URL, files=files(*images), headers=KEY)
        assert problems(response, 422, "idempotency_key_reused") == {}


async def test_json_and_multipart_of_the_same_content_are_the_same_request(
    client: AsyncClient,
) -> None:
    """The form is how it travels, not what is asked."""
    images = png(color="teal"), png(color="gold")
    sources = [{"image": {"data": data_uri(image)}} for image in images]
    first = await client.post(URL, json={"keyframes": sources, "steps": 9}, headers=KEY)
    form = await client.post(
        URL, files=files(*images), data={"request": json.dumps({"steps": 9})}, headers=KEY
    )
    assert replayed(form)
    assert form.json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"fps": 23.976}, {"fps": "24000/1001"}),
        ({"fps": 24.0, "prompt": None, "loop": None, "sketches": None}, {"fps": 24}),
        ({"background": "#FFAA00"}, {"background": "#ffaa00"}),
        ({"exposure": 1, "outputs": [{"format": "mp4"}]}, {"outputs": [{}], "steps": None}),
    ],
)
async def test_same_meaning_is_the_same_request(
    client: AsyncClient, one: dict[str, object], other: dict[str, object]
) -> None:
    """Nulls and defaults are fields left out; a rate has several spellings."""
    first = await client.post(URL, json=body(**one), headers=KEY)
    again = await client.post(URL, json=body(**other), headers=KEY)
    assert replayed(again), again.text
    assert again.json()["id"] == first.json()["id"]


async def test_position_of_a_key_makes_another_request(client: AsyncClient) -> None:
    first, second = body()["keyframes"]
    await client.post(URL, json={"keyframes": [first, second]}, headers=KEY)
    moved = {"keyframes": [first, {**second, "frame": 9}]}
    response = await client.post(URL, json=moved, headers=KEY)
    assert problems(response, 422, "idempotency_key_reused") == {}


@pytest.mark.parametrize("earlier", ["0" * 64, "1:" + "0" * 64, "99:x"])
async def test_upgrade_refuses_no_repeated_request(
    client: AsyncClient, redis_server: RedisServer, earlier: str
) -> None:
    """A fingerprint of another version cannot be compared; the caller's word counts."""
    first = await client.post(URL, json=body(), headers=KEY)
    (stored,) = redis_server.client.keys(redis_keys.IDEMPOTENCY + "*")
    assert redis_server.client.hget(stored, "fingerprint").partition(":")[0] == str(VERSION)
    redis_server.client.hset(stored, "fingerprint", earlier)
    again = await client.post(URL, json=body(), headers=KEY)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_ten_at_the_same_moment_make_one_job(
    any_client: AsyncClient,
    operator: OperatorStore,
    stored_keys: Callable[[], set[str]],
) -> None:
    """Nine of them are replays, and their images are gone again."""
    answers = await asyncio.gather(
        *(any_client.post(URL, files=files(), headers=KEY) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [202]
    (job_id,) = {answer.json()["id"] for answer in answers}
    assert operator.count_ready() == 1
    assert {key.split("/")[1] for key in stored_keys()} == {job_id}
    assert len(stored_keys()) == 2


async def test_replay_after_delete_is_not_found(
    client: AsyncClient, stored_keys: Callable[[], set[str]]
) -> None:
    """The key still stands for the deleted job and silently makes no other."""
    job_id = (await client.post(URL, files=files(), headers=KEY)).json()["id"]
    await client.post(f"{URL}/{job_id}/cancel")
    assert (await client.delete(f"{URL}/{job_id}")).status_code == 204
    response = await client.post(URL, files=files(), headers=KEY)
    assert problems(response, 404, "not_found") == {}
    assert "Idempotency-Key" in response.json()["detail"]
    assert stored_keys() == set()


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_key_of_the_wrong_length(
    client: AsyncClient, nothing_left: Callable[[], None], key: str
) -> None:
    """Up to 255 characters, and not none."""
    response = await client.post(URL, files=files(), headers={"Idempotency-Key": key})
    assert problems(response, 422, "invalid_request") == {"/Idempotency-Key": "out_of_range"}
    nothing_left()


async def test_refused_request_does_not_use_up_its_key(client: AsyncClient) -> None:
    """The corrected request may carry the same one, of the longest allowed length."""
    key = {"Idempotency-Key": "x" * 255}
    assert (await client.post(URL, json=body(steps=200), headers=key)).status_code == 422
    assert (await client.post(URL, json=body(steps=20), headers=key)).status_code == 202


async def test_key_is_forgotten_after_its_time(
    client: AsyncClient, redis_server: RedisServer
) -> None:
    """24 hours; what is stored of it is a digest, since a key may say more than a log should."""
    await client.post(URL, files=files(), headers=KEY)
    (stored,) = redis_server.client.keys(redis_keys.IDEMPOTENCY + "*")
    assert 0 < redis_server.client.ttl(stored) <= IDEMPOTENCY_LIFE.total_seconds()
    assert "shot-12a" not in stored
    redis_server.client.delete(stored)
    assert (await client.post(URL, files=files(), headers=KEY)).status_code == 202
