"""`python -m admin usage`."""

from datetime import timedelta

import pytest

from core.records.ids import new_job_id
from core.store.roles.worker import WorkerStore
from testkit.commands import Ask, run_command
from testkit.jobs import generation_request
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs


async def test_gpu_time_by_day(
    ask: Ask, store: WorkerStore, async_store: TenantJobs, redis_server: RedisServer
) -> None:
    """The time for which attempts held workers, whatever came of them. The text does not say that
    it is shown only once, as it does of keys.
    """
    await async_store.of_tenant("studio").submit(
        new_job_id(), generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    claim = store.claim("worker")
    assert claim
    store.give_back(claim)
    used = ask("usage", "--tenant", "studio", "--days", "2")
    assert used["tenant"] == "studio"
    assert used["gpu_seconds"] == pytest.approx(sum(used["days"].values()))
    assert used["gpu_seconds"] > 0
    assert ask("usage") == {"tenant": "default", "gpu_seconds": 0, "days": {}}
    told = run_command("usage", "--tenant", "studio", TOONCRAFTER_REDIS_URL=redis_server.url).stdout
    assert f"days: {next(iter(used['days']))}=" in told
    assert "only once" not in told
