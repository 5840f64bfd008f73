"""Define tenants: who shares the deployment, and how much each may use."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from core.settings import Settings

TENANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"  # no colon: it separates the parts of a Redis key
# Tenant of callers without a key, and of records that are older than tenants.
DEFAULT_TENANT = "default"


class TenantLimits(BaseModel):
    """How much one tenant may use: the operator's settings, which an API key may override."""

    model_config = ConfigDict(frozen=True)

    submissions_per_minute: int = Field(gt=0)
    reads_per_minute: int = Field(gt=0)  # every call that submits nothing
    max_queued: int = Field(gt=0)  # jobs that wait for a worker
    # Jobs that run at the same time; None for as many as there are workers.
    max_running: int | None = Field(default=None, gt=0)
    max_upload_bytes: int = Field(gt=0)  # of all uploads that are kept
    max_retention: timedelta = Field(gt=timedelta(0))  # largest `expires_in`

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the limits of a tenant whose key overrides none."""
        return cls(
            submissions_per_minute=settings.tenant_submissions_per_minute,
            reads_per_minute=settings.tenant_reads_per_minute,
            max_queued=settings.tenant_max_queued,
            max_running=settings.tenant_max_running,
            max_upload_bytes=settings.tenant_max_upload_bytes,
            max_retention=settings.tenant_max_retention or settings.result_ttl,
        )

    def with_overrides(self, overrides: Mapping[str, float | None]) -> Self:
        """Return these limits with some of them replaced.

        Raises:
            pydantic.ValidationError: an override is not a valid limit.
        """
        return self.model_validate({**self.model_dump(), **overrides}) if overrides else self
