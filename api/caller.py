"""The caller of a request: its tenant, limits and key."""

from dataclasses import dataclass

from core.errors import Forbidden
from core.records.tenant import TenantLimits
from core.store.tenants.api_keys import KeyInfo, Scope


@dataclass(frozen=True)
class Caller:
    """A tenant and what it may take; `key` is None if the gateway asks for none."""

    tenant: str
    limits: TenantLimits
    key: KeyInfo | None = None

    def need(self, scope: Scope) -> None:
        """Return if the caller may make calls of this scope.

        Raises:
            Forbidden: the key has other scopes.
        """
        if self.key and not self.key.permits(scope):
            raise Forbidden(
                f"this call needs the scope `{scope}`, and the key has {', '.join(self.key.scopes)}"
            )
