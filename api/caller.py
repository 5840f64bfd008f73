"""Who makes a request, as far as its handling depends on it."""

from dataclasses import dataclass

from core.tenants import TenantLimits


@dataclass(frozen=True)
class Caller:
    """Whose jobs and uploads a request sees and makes, and how many it may make."""

    tenant: str
    limits: TenantLimits
