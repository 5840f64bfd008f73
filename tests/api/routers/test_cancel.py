"""A caller ends a job, and removes an ended one."""

from collections.abc import Callable
from threading import Event

import pytest
from httpx import AsyncClient

from core.errors import CancelRequested, OutOfMemory
from core.objects.object_keys import output_key
from core.objects.storage import open_storage
from core.records.ids import new_job_id
from core.records.job import JobState, Timing
from core.settings import Settings
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from dispatcher.expiry import Expiry
from testkit.api.calls import URL, problems
from testkit.api.gateway import gateway
from testkit.api.jobs import claimed, ended, queued
from testkit.jobs import MODEL
from testkit.servers import RedisServer, free_port


class TestCancel:
    async def test_queued_job_ends_at_once(self, client: AsyncClient, store: WorkerStore) -> None:
        """No worker holds it yet, so the same request settles it, and none ever will."""
        job_id = await queued(client)
        job = (await client.post(f"{URL}/{job_id}/cancel")).json()
        assert (job["status"], job["version"], job["queue_position"]) == ("canceled", 2, None)
        assert job["finished_at"] is not None
        assert store.claim("worker-1") is None

    async def test_running_job_is_told_at_its_next_step(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """The answer shows it still running; its worker ends it."""
        job_id = await queued(client)
        claim = claimed(store)
        response = await client.post(f"{URL}/{job_id}/cancel")
        assert (response.status_code, response.json()["status"]) == (200, "running")
        with pytest.raises(CancelRequested):
            store.renew(claim)
        store.end_canceled(claim, Timing(), MODEL)
        assert (await client.get(f"{URL}/{job_id}")).json()["status"] == "canceled"

    async def test_canceling_twice_is_canceling_once(self, client: AsyncClient) -> None:
        """A retry after a lost answer changes nothing."""
        job_id = await queued(client)
        once, twice = [(await client.post(f"{URL}/{job_id}/cancel")).json() for _ in range(2)]
        assert once == twice

    async def test_ended_job_is_returned_as_it_is(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Too late is no error."""
        job_id = await ended(client, store)
        before = (await client.get(f"{URL}/{job_id}")).json()
        response = await client.post(f"{URL}/{job_id}/cancel")
        assert response.status_code == 200
        assert response.json()["status"] == "succeeded"
        assert (await client.get(f"{URL}/{job_id}")).json()["version"] == before["version"]

    async def test_others_move_up(self, client: AsyncClient) -> None:
        """Its place in the queue is free."""
        first, second = await queued(client), await queued(client)
        await client.post(f"{URL}/{first}/cancel")
        assert (await client.get(f"{URL}/{second}")).json()["queue_position"] == 0

    @pytest.mark.parametrize("job_id", ["itp_01M8GZ8435K25TWMK7WF8RKEXV", "itp_", "x"])
    async def test_unknown_job(self, client: AsyncClient, job_id: str) -> None:
        """Also of the wrong form."""
        assert problems(await client.post(f"{URL}/{job_id}/cancel"), 404, "not_found") == {}


class TestDelete:
    async def test_record_and_every_object_go(
        self,
        any_client: AsyncClient,
        any_settings: Settings,
        upkeep: DispatcherStore,
        store: WorkerStore,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """Keyframes, results, and the leavings of earlier attempts; those of other jobs stay."""
        kept = await queued(any_client)
        store.fail(claimed(store), OutOfMemory("too large"), Timing(), MODEL)
        job_id = await ended(any_client, store)
        for fence in (1, 2):
            open_storage(any_settings).put(
                output_key(job_id, fence, "video.mp4"), b"video", "video/mp4"
            )
        response = await any_client.delete(f"{URL}/{job_id}")
        assert (response.status_code, response.content) == (204, b"")
        assert {key.split("/")[1] for key in stored_keys()} == {kept}
        assert store.get(job_id) is None
        assert upkeep.sweep_expired() == []

    async def test_deleted_job_is_nowhere(self, client: AsyncClient, store: WorkerStore) -> None:
        """Neither to read, to cancel, to download nor to delete again."""
        job_id = await ended(client, store)
        await client.delete(f"{URL}/{job_id}")
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("GET", "/outputs/video.mp4"),
        ):
            assert (
                problems(await client.request(method, f"{URL}/{job_id}{path}"), 404, "not_found")
                == {}
            )
        assert (await client.get(URL)).json()["data"] == []

    async def test_job_that_has_not_ended_is_refused(
        self, client: AsyncClient, store: WorkerStore, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Neither while it waits nor while it runs: canceling comes first."""
        job_id = await queued(client)
        for state in (JobState.QUEUED, JobState.RUNNING):
            response = await client.delete(f"{URL}/{job_id}")
            assert problems(response, 409, "job_not_finished") == {}
            job = store.get(job_id)
            assert job is not None
            assert job.status is state
            store.claim("worker-1")
        assert len(stored_keys()) == 2

    async def test_unknown_job(self, client: AsyncClient) -> None:
        """There never was one."""
        assert problems(await client.delete(f"{URL}/{new_job_id()}"), 404, "not_found") == {}

    async def test_storage_that_is_away_gets_rid_of_the_objects_later(
        self,
        s3_settings: Settings,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
    ) -> None:
        """The caller is rid of the job at once; the dispatcher's next sweep does the rest."""
        async with gateway(s3_settings) as client:
            job_id = await ended(client, store)
        away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        async with gateway(away) as client:
            assert (await client.delete(f"{URL}/{job_id}")).status_code == 204
            assert (await client.get(f"{URL}/{job_id}")).status_code == 404
        assert len(stored_keys()) == 2
        Expiry(upkeep, open_storage(s3_settings), Event()).run()
        assert stored_keys() == set()
        assert upkeep.sweep_expired() == []
