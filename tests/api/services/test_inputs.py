"""Images of submissions that make no job: refused, repeated, or cut by a crash. None of them is
left behind.
"""

import asyncio
import threading
from collections.abc import Callable

import pytest
from httpx import AsyncClient

from core.objects.object_keys import input_key
from core.objects.storage import ObjectStorage
from core.records.ids import new_job_id
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.gateway import STORING_PATIENCE, IdempotencyKey, Outcome
from core.store.roles.operator import OperatorStore
from dispatcher.expiry import Expiry
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway
from testkit.jobs import generation_request, png
from testkit.servers import RedisServer
from testkit.store.steps import TTL, now_ms, submit
from testkit.store.tenant_jobs import TenantJobs

KEY = {"Idempotency-Key": "shot-12a"}
IMAGE = generation_request().keyframes[0].image


@pytest.fixture
def sweep(storage: ObjectStorage, upkeep: DispatcherStore) -> Callable[[], None]:
    """What the dispatcher does each second."""
    return Expiry(upkeep, storage, threading.Event()).run


class TestReservation:
    async def test_crash_between_storing_and_the_job(
        self,
        async_store: TenantJobs,
        storage: ObjectStorage,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
        sweep: Callable[[], None],
    ) -> None:
        """The images wait for their gateway as long as it may take, and are deleted then."""
        job_id = new_job_id()
        assert (await async_store.reserve(job_id)).outcome is Outcome.RESERVED
        storage.put(input_key(job_id, IMAGE), png(), "image/png")
        sweep()
        assert stored_keys() == {input_key(job_id, IMAGE)}
        left = redis_server.client.zscore(redis_keys.TRASH, job_id) - now_ms(redis_server)
        assert 0 < left <= STORING_PATIENCE.total_seconds() * 1000
        redis_server.client.zadd(redis_keys.TRASH, {job_id: 0})
        sweep()
        assert stored_keys() == set()
        assert redis_server.client.zcard(redis_keys.TRASH) == 0

    async def test_job_takes_its_images_out_of_the_trash(
        self, any_client: AsyncClient, redis_server: RedisServer
    ) -> None:
        """In the step that makes it: nothing is deleted under a job that was accepted."""
        assert (await any_client.post(URL, files=files())).status_code == 202
        assert redis_server.client.zcard(redis_keys.TRASH) == 0

    @pytest.mark.parametrize("swept", [False, True])
    async def test_gateway_that_was_away_too_long_makes_no_job(
        self,
        async_store: TenantJobs,
        redis_server: RedisServer,
        upkeep: DispatcherStore,
        operator: OperatorStore,
        swept: bool,
    ) -> None:
        """Its images may be gone, or about to go: a worker would look for them in vain."""
        job_id = new_job_id()
        await async_store.reserve(job_id)
        redis_server.client.zadd(redis_keys.TRASH, {job_id: 0})
        if swept:
            upkeep.emptied(job_id)
        late = await async_store.submit(
            job_id, generation_request(), metadata={}, ttl=TTL, request_id="", reserved=True
        )
        assert (late.outcome, late.view) == (Outcome.LATE, None)
        assert operator.count_ready() == 0

    async def test_known_key_reserves_nothing(
        self, async_store: TenantJobs, redis_server: RedisServer
    ) -> None:
        """What the key came to is known before an image is stored."""
        key = IdempotencyKey("digest", "fingerprint")
        first = new_job_id()
        await async_store.submit(
            first, generation_request(), metadata={}, ttl=TTL, request_id="", idempotency=key
        )
        again = await async_store.reserve(new_job_id(), idempotency=key)
        assert again.outcome is Outcome.REPLAYED
        assert again.view is not None
        assert again.view.job.id == first
        other = await async_store.reserve(
            new_job_id(), idempotency=IdempotencyKey("digest", "other")
        )
        assert other.outcome is Outcome.REUSED
        assert redis_server.client.zcard(redis_keys.TRASH) == 0


class TestRefusedByRedis:
    async def test_full_queue_leaves_no_images(
        self,
        any_settings: Settings,
        async_store: TenantJobs,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """They were stored before anybody could know."""
        await submit(async_store)
        full = any_settings.model_copy(update={"max_queued": 1})
        async with gateway(full) as client:
            assert problems(await client.post(URL, files=files()), 503, "queue_full") == {}
        assert stored_keys() == set()
        assert redis_server.client.zcard(redis_keys.TRASH) == 0

    async def test_replay_stores_nothing(self, settings: Settings) -> None:
        """Even where the storage is full: a file stands where images would go."""
        async with gateway(settings) as client:
            first = await client.post(URL, files=files(), headers=KEY)
            objects = settings.state_dir / "objects"
            objects.rename(settings.state_dir / "elsewhere")
            objects.touch()
            again = await client.post(URL, files=files(), headers=KEY)
            assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_each_image_of_many_requests_is_described_as_itself(client: AsyncClient) -> None:
    """More at the same moment than are decoded together; the others wait for their turn."""
    widths = [64 + 8 * number for number in range(6)]
    requests = (client.post(URL, files=files(png(width), png(width + 1))) for width in widths)
    answers = await asyncio.gather(*requests)
    described = [
        [key["image"]["width"] for key in answer.json()["request"]["keyframes"]]
        for answer in answers
    ]
    assert described == [[width, width + 1] for width in widths]
