"""Every call proves who makes it, before its body is read.

What is open to all tells nothing of anybody: health, the contract, error pages, and files, where a
signature stands for a key. Everything else needs a scope, addresses that do not exist included.
"""

import time

from starlette.types import Message
from starlette.types import Scope as AsgiScope

from api.caller import Caller
from api.middleware.doorkeeper import TRUST, Doorkeeper
from api.middleware.rates import READS, SUBMISSIONS, Rates
from core.errors import ServiceError, Unavailable
from core.store.tenants.api_keys import Scope

_OPEN = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
_OPEN_BELOW = ("/files/", "/docs/", "/errors/")
_SUBMISSION = ("POST", "/v1/interpolations")
_READ_BY_POST = frozenset({"/v1/interpolations/estimate"})


def is_open(path: str) -> bool:
    """Whether a path asks for no key at any gateway."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def needed_scope(method: str, path: str) -> Scope:
    """What a call needs: to read where it changes nothing, else to submit."""
    return Scope.READ if method in {"GET", "HEAD"} or path in _READ_BY_POST else Scope.SUBMIT


def rate_policy(method: str, path: str) -> str:
    """Which of a tenant's rates a call counts for."""
    return SUBMISSIONS if (method, path) == _SUBMISSION else READS


class KeyEnded(OSError):
    """To whoever sends: nobody may hear it any more. As where a connection broke."""


class Authentication:
    """Refuses who may not call, and tells requests who calls."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper
        self._rates = Rates()

    async def admit(self, scope: AsgiScope) -> list[tuple[bytes, bytes]]:
        """Note in the request's state who calls, and count the call. Answers headers for its
        answer, in ASGI's form.

        Raises:
            Unauthorized: no valid key came (401).
            Forbidden: the key has other scopes (403).
            RateLimited: the tenant calls too often (429).
            Unavailable: Redis does not answer.
        """
        state, method, path = scope["state"], scope["method"], scope["path"]
        caller = state["caller"] = await self.identify(scope)
        if caller.key is None:
            return []
        caller.need(needed_scope(method, path))
        return await self._rates.admit(caller, rate_policy(method, path), state["rates"])

    async def identify(self, scope: AsgiScope) -> Caller:
        """Who calls.

        Raises:
            Unauthorized: no valid key came, or it is valid no longer.
            Unavailable: Redis does not answer.
        """
        return await self._doorkeeper.identify(scope, scope["state"]["api_keys"])


class KeyWatch:
    """Looks now and then whether a key is still valid, while an answer takes long."""

    def __init__(self, scope: AsgiScope, authentication: Authentication) -> None:
        self._scope, self._authentication = scope, authentication
        self._looked = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last look was long ago."""
        return time.monotonic() - self._looked > TRUST.total_seconds()

    async def look(self) -> ServiceError | None:
        """Why the caller may hear no more; None where it may, or where nobody can tell."""
        try:
            await self._authentication.identify(self._scope)
        except Unavailable:
            pass
        except ServiceError as error:
            return error
        self._looked = time.monotonic()
        return None


async def nothing_comes() -> Message:
    """From a caller to whom nobody listens any more."""
    return {"type": "http.disconnect"}
