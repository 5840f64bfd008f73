"""GPU time that each tenant has used, by day."""

from datetime import timedelta
from functools import partial

import pytest

from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from core.store.tenants.usage import gpu_seconds
from testkit.servers import RedisServer
from testkit.store.steps import claim, end, expire_lease, flood, let_run, submit
from testkit.store.tenant_jobs import TenantJobs


class TestUsage:
    async def test_each_end_of_an_attempt_counts(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
    ) -> None:
        """Ended, given back, lost: the worker was held all the same. Nothing counts twice, waiting
        counts nothing.
        """
        usage = partial(gpu_seconds, redis_server.url)
        tenant = async_store.of_tenant("acme")
        await flood(tenant, 3)
        expected = 0
        for seconds, finish in (
            (10, lambda held: store.give_back(held)),
            (
                20,
                lambda held: (
                    expire_lease(redis_server, held.job.id),
                    upkeep.recover_expired_leases(),
                ),
            ),
            (40, lambda held: end(store, held)),
            (80, lambda held: end(store, held)),
        ):
            held = claim(store)
            let_run(redis_server, held, timedelta(seconds=seconds))
            finish(held)
            expected += seconds
            assert sum(usage("acme").values()) == pytest.approx(expected, abs=1)
        assert usage("default") == {}
        canceled = await submit(tenant)
        await tenant.cancel(canceled.id)
        assert sum(usage("acme", days=2).values()) == pytest.approx(expected, abs=1)
