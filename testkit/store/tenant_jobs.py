"""A tenant's jobs, as tests and benchmarks call the gateway's store."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.records.job import Job, JobState
from core.records.request import GenerationRequest
from core.records.tenant import DEFAULT_TENANT, TenantLimits
from core.store.client import AsyncRedis
from core.store.encoding import QueuedView
from core.store.roles.gateway import (
    NO_KEY,
    Deletion,
    GatewayStore,
    IdempotencyKey,
    JobFilter,
    SubmissionResult,
)


class TenantJobs:
    """Calls the store with one tenant, and submits within its limits."""

    def __init__(
        self,
        redis: AsyncRedis | str,
        tenant: str = DEFAULT_TENANT,
        limits: TenantLimits | None = None,
        **options: Any,
    ) -> None:
        """Connect on the first call.

        Args:
            redis: a client, or the address of Redis.
            tenant: whose jobs.
            limits: of its submissions.
            options: of `GatewayStore`.
        """
        self.redis = AsyncRedis(redis) if isinstance(redis, str) else redis
        self.store = GatewayStore(self.redis, **options)
        self.tenant = tenant
        self.limits = limits

    def of_tenant(self, tenant: str, limits: TenantLimits | None = None) -> "TenantJobs":
        """Return the jobs of another tenant, on the same connections."""
        return TenantJobs(self.redis, tenant, limits)

    async def submit(
        self,
        job_id: str,
        request: GenerationRequest,
        *,
        ttl: timedelta,
        idempotency: IdempotencyKey = NO_KEY,
        reserved: bool = False,
        **fields: Any,
    ) -> SubmissionResult:
        """Make a job with these fields of its record."""
        now = datetime.now(UTC)
        job = Job(
            id=job_id,
            tenant=self.tenant,
            version=1,
            status=JobState.QUEUED,
            created_at=now,
            expires_at=now + ttl,
            request=request,
            **fields,
        )
        return await self.store.submit(
            job, limits=self.limits, idempotency=idempotency, reserved=reserved
        )

    async def reserve(self, job_id: str, **options: Any) -> SubmissionResult:
        return await self.store.reserve(job_id, self.tenant, limits=self.limits, **options)

    async def recall(self, key: IdempotencyKey) -> SubmissionResult | None:
        return await self.store.recall(key, self.tenant)

    async def read(self, job_id: str) -> QueuedView | None:
        return await self.store.read(job_id, self.tenant)

    async def page(self, limit: int, **wanted: Any) -> list[QueuedView]:
        return await self.store.page(self.tenant, JobFilter(**wanted), limit)

    async def cancel(self, job_id: str) -> QueuedView | None:
        return await self.store.cancel(job_id, self.tenant)

    async def delete(self, job_id: str) -> Deletion:
        return await self.store.delete(job_id, self.tenant)

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.close()
