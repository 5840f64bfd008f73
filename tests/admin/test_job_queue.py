"""`python -m admin pause`, `unpause` and `purge`."""

import pytest

from core.records.job import JobState
from core.store.roles.worker import WorkerStore
from testkit.commands import Ask
from testkit.store.steps import claim, submit
from testkit.store.tenant_jobs import TenantJobs

WORKER = "gpu-1:7"


class TestQueue:
    async def test_paused_queue_starts_nothing(
        self, ask: Ask, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """Said twice it is still paused."""
        await submit(async_store)
        assert [ask("pause"), ask("pause")] == [{"queue": "paused"}] * 2
        assert store.claim(WORKER) is None
        assert ask("status")["queue"] == "paused"
        assert ask("unpause") == {"queue": "open"}
        claim(store, WORKER)

    async def test_purge_wants_to_be_sure(
        self, ask: Ask, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """It says how many jobs it would cancel; with `--yes` it does, however many there are."""
        jobs = [await submit(async_store) for _ in range(120)]
        with pytest.raises(SystemExit, match=r"all 120 waiting jobs.*--yes"):
            ask("purge")
        assert ask("purge", "--yes") == {"canceled": 120}
        assert {job.status for job in map(store.get, [job.id for job in jobs]) if job} == {
            JobState.CANCELED
        }
