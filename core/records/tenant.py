"""Tenants: who shares the deployment, and how much of it each may take. Pure data, no Redis."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

TENANT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"  # no colon: it parts the names of keys in Redis
# of callers without a key, and of records that were made before there were tenants
DEFAULT_TENANT = "default"


class TenantLimits(BaseModel):
    """How much one tenant may take. The operator's settings say it for all, a key may say it anew
    for its own.
    """

    model_config = ConfigDict(frozen=True)

    submissions_per_minute: int = Field(gt=0)
    reads_per_minute: int = Field(gt=0)  # every call that submits nothing
    max_queued: int = Field(gt=0)  # jobs that wait for a worker
    # jobs at the same time; None for as many as there are workers
    max_running: int | None = Field(default=None, gt=0)
    max_upload_bytes: int = Field(gt=0)  # of all uploads that have not vanished
    max_retention: timedelta = Field(gt=timedelta(0))  # largest `expires_in`

    def but_for(self, others: Mapping[str, float | None]) -> "TenantLimits":
        """These limits, with some of them replaced.

        Raises:
            pydantic.ValidationError: one of the others is none.
        """
        return TenantLimits.model_validate({**self.model_dump(), **others}) if others else self
