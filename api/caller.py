"""The caller of a request: its tenant, limits and key."""

from dataclasses import dataclass

from core.errors import Forbidden
from core.records.tenant import DEFAULT_TENANT, TenantLimits
from core.store.tenants.api_keys import KeyInfo, Scope


@dataclass(frozen=True)
class Caller:
    """A tenant and what it may take; `key` is None if the gateway asks for none."""

    tenant: str
    limits: TenantLimits
    key: KeyInfo | None = None

    @classmethod
    def without_key(cls, limits: TenantLimits) -> "Caller":
        """Return the caller of a gateway that asks for no key."""
        return cls(DEFAULT_TENANT, limits)

    @classmethod
    def with_key(cls, key: KeyInfo, usual: TenantLimits) -> "Caller":
        """Return the holder of a key."""
        return cls(key.tenant, key.limits_over(usual), key)

    def need(self, scope: Scope) -> None:
        """Return if the caller may make calls of this scope.

        Raises:
            Forbidden: the key has other scopes.
        """
        if self.key and not self.key.permits(scope):
            raise Forbidden(
                f"this call needs the scope `{scope}`, and the key has {', '.join(self.key.scopes)}"
            )
