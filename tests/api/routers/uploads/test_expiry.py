"""Uploads that expire or are deleted, and jobs that use them."""

import asyncio
import threading
from collections.abc import Callable

from httpx import AsyncClient

from core.objects.object_keys import image_key, upload_prefix
from core.objects.storage import ObjectStorage, open_storage
from core.records.job import Timing
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from dispatcher.expiry import Expiry
from testkit.api.calls import URL, problems
from testkit.api.gateway import gateway
from testkit.api.uploads import by_reference, let_time_pass, uploaded
from testkit.jobs import MODEL, png, stored_output
from testkit.servers import RedisServer, free_port


class TestVanishing:
    async def test_unused_for_its_time(
        self,
        any_client: AsyncClient,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
        sweep: Callable[[], None],
    ) -> None:
        """Record and object are deleted, and a request that uses the upload is refused."""
        upload_id = await uploaded(any_client, png())
        sweep()
        assert redis_server.client.exists(redis_keys.UPLOAD + upload_id)
        let_time_pass(redis_server, upload_id)
        sweep()
        assert stored_keys() == set()
        assert redis_server.client.keys(f"*{upload_id}*") == []
        assert redis_server.client.zcard(redis_keys.TRASH) == 0
        response = await any_client.post(URL, json=by_reference(upload_id, upload_id))
        assert set(problems(response, 422, "invalid_request").values()) == {"upload_not_found"}

    async def test_used_by_a_job_it_stays(
        self,
        any_client: AsyncClient,
        redis_server: RedisServer,
        store: WorkerStore,
        storage: ObjectStorage,
        stored_keys: Callable[[], set[str]],
        sweep: Callable[[], None],
    ) -> None:
        """Until the last job that uses it is gone, and for its life after that."""
        upload_id = await uploaded(any_client, png())
        jobs = [
            (await any_client.post(URL, json=by_reference(upload_id, upload_id))).json()["id"]
            for _ in range(2)
        ]
        for job_id in jobs:
            let_time_pass(redis_server, upload_id)
            sweep()
            job = store.get(job_id)
            assert job is not None
            assert storage.get(image_key(job, job.request.keyframes[0].image)) == png()
            await any_client.post(f"{URL}/{job_id}/cancel")
            assert (await any_client.delete(f"{URL}/{job_id}")).status_code == 204
        sweep()
        assert len(stored_keys()) == 1, "unused for a moment only"
        let_time_pass(redis_server, upload_id)
        sweep()
        assert stored_keys() == set()

    async def test_job_that_expires_lets_go_too(
        self,
        client: AsyncClient,
        redis_server: RedisServer,
        store: WorkerStore,
        settings: Settings,
        upkeep: DispatcherStore,
    ) -> None:
        """Expiry releases a job's uploads as deletion does."""
        upload_id = await uploaded(client, png())
        await client.post(URL, json=by_reference(upload_id, upload_id))
        claim = store.claim("worker-1")
        assert claim is not None
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        assert redis_server.client.zscore(redis_keys.UPLOADS, upload_id) is None
        redis_server.client.zadd(redis_keys.EXPIRY, {claim.job.id: 0})
        assert upkeep.sweep_expired() == [claim.job.id]
        assert redis_server.client.zscore(redis_keys.UPLOADS, upload_id) is not None

    async def test_vanishing_between_check_and_job(
        self, client: AsyncClient, redis_server: RedisServer, upkeep: DispatcherStore
    ) -> None:
        """Either the job keeps the upload or the caller gets 422: no job waits for an image that is
        gone.
        """
        upload_id = await uploaded(client, png())
        answers = []
        for _ in range(20):
            again = await uploaded(client, png(color="gold"))  # no other upload has these bytes
            submission = client.post(URL, json=by_reference(again, upload_id))
            task = asyncio.create_task(submission)
            await asyncio.sleep(0)
            let_time_pass(redis_server, again)
            upkeep.sweep_expired()
            answers.append((again, await task))
        for again, answer in answers:
            assert answer.status_code in (202, 422), answer.text
            assert (answer.status_code == 202) == bool(
                redis_server.client.exists(redis_keys.UPLOAD + again)
            )

    async def test_vanishing_after_a_job_had_used_it(
        self, client: AsyncClient, redis_server: RedisServer
    ) -> None:
        """The gateway has cached the image, but Redis says that the upload is gone; the answer
        names it.
        """
        kept, gone = await uploaded(client, png()), await uploaded(client, png(color="gold"))
        body = by_reference(kept, gone)
        assert (await client.post(URL, json=body)).status_code == 202
        redis_server.client.delete(redis_keys.UPLOAD + gone)
        wrong = {"/keyframes/1/image/upload": "upload_not_found"}
        assert (
            problems(await client.post(f"{URL}/estimate", json=body), 422, "invalid_request")
            == wrong
        )
        assert problems(await client.post(URL, json=body), 422, "invalid_request") == wrong

    async def test_storage_that_is_away_when_it_vanishes(
        self, s3_settings: Settings, redis_server: RedisServer, upkeep: DispatcherStore
    ) -> None:
        """The record is deleted; the id stays in the trash until the object is deleted as well."""
        async with gateway(s3_settings) as client:
            upload_id = await uploaded(client, png())
        let_time_pass(redis_server, upload_id)
        away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        Expiry(upkeep, open_storage(away), threading.Event()).run()
        assert redis_server.client.zscore(redis_keys.TRASH, upload_id) is not None
        let_time_pass(redis_server, upload_id)
        storage = open_storage(s3_settings)
        Expiry(upkeep, storage, threading.Event()).run()
        assert storage.list_page(upload_prefix(upload_id), "", 10) == []
