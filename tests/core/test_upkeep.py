"""What the dispatcher keeps in order."""

import asyncio
from datetime import timedelta

from core import keys
from core.job import Timing, new_job_id
from core.job_store import JobStore
from core.job_store_async import AsyncJobStore
from tests.core.steps import claim, members, submit
from tests.jobs import MODEL, generation_request, stored_output
from tests.servers import RedisServer


class TestExpiry:
    async def test_only_ended_jobs_past_their_time(
        self, async_store: AsyncJobStore, store: JobStore, redis_server: RedisServer
    ) -> None:
        """A job that still runs is not deleted under its worker, whatever its time to live says."""
        brief = timedelta(milliseconds=1)
        for _ in range(2):
            await async_store.submit(new_job_id(), generation_request(), metadata={}, ttl=brief, request_id="")
        running, ended = claim(store), claim(store)
        store.succeed(ended, [stored_output()], Timing(), MODEL)
        fresh = await submit(async_store)
        store.succeed(claim(store), [stored_output()], Timing(), MODEL)
        await asyncio.sleep(0.01)
        assert store.sweep_expired() == [ended.job.id]
        assert store.get(ended.job.id) is None
        assert members(redis_server)[keys.JOBS] == {running.job.id, fresh.id}
        assert store.sweep_expired() == [ended.job.id], "until its objects are gone"

        store.emptied(ended.job.id)
        assert store.sweep_expired() == []
        assert members(redis_server)[keys.TRASH] == set()
