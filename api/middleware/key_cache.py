"""Cache what Redis knows about API keys for seconds, by digest."""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from cachetools import LRUCache, TTLCache

from api.caller import Caller
from core.endpoints import is_loopback
from core.errors import RateLimited, Unauthorized, Unavailable
from core.records.tenant import DEFAULT_TENANT, TenantLimits
from core.settings import Settings
from core.store.tenants.api_keys import BEARER_TOKEN, ApiKeyLookup, Found

TRUST = timedelta(seconds=3)  # how long an answer of Redis is used, and a revoked key may work
BREATHER = timedelta(seconds=0.3)  # after an outage was seen, so that one request waits once
CACHE_SIZE = 4096  # keys, and addresses that failed
# Wrong keys per client address within FAILURE_WINDOW; beyond it, unknown keys get 429 without a
# Redis lookup. The window is short, because others with good keys may share the address.
MAX_FAILURES = 30
FAILURE_WINDOW = timedelta(seconds=3)


@dataclass
class _Failures:
    count: int = 0


class KeyCache:
    """Tells callers by their key; without any key in Redis, every caller of this machine."""

    def __init__(self, settings: Settings, api_keys: ApiKeyLookup) -> None:
        self._api_keys = api_keys
        self._default_limits = TenantLimits.from_settings(settings)
        self._without_key = Caller(DEFAULT_TENANT, self._default_limits)
        self._is_local = is_loopback(settings.host)
        # by SHA-256 of the key: until when, and the caller. No key stays in memory.
        self._valid: LRUCache[bytes, tuple[float, Caller]] = LRUCache(CACHE_SIZE)
        self._failures: TTLCache[str, _Failures] = TTLCache(
            CACHE_SIZE, FAILURE_WINDOW.total_seconds()
        )
        self._any_key, self._any_key_until = False, 0.0
        self._outage, self._outage_until = "", 0.0

    async def needs_no_key(self) -> bool:
        """Return whether anybody may call; while Redis is away, what held before."""
        with suppress(Unavailable):
            return await self._is_unlocked()
        return self._is_local and not self._any_key

    async def identify(self, sent: Sequence[str], address: str) -> Caller:
        """Return the caller.

        Args:
            sent: the values of all `Authorization` headers.
            address: of the client.

        Raises:
            Unauthorized: no key came, or no valid one, or several headers.
            RateLimited: too many wrong keys came from this address.
            Unavailable: Redis does not answer.
        """
        if len(sent) > 1:
            raise Unauthorized("`Authorization` must come once; a proxy may read another one")
        if not sent:
            if await self._is_unlocked():
                return self._without_key
            raise Unauthorized("`Authorization: Bearer <API key>` is required but missing")
        scheme, _, token = sent[0].partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not BEARER_TOKEN.fullmatch(token):
            token = ""  # no key has this digest
        digest = hashlib.sha256(token.encode()).digest()
        until, caller = self._valid.get(digest, (0.0, None))
        if caller is None or time.monotonic() >= until:
            return await self._look_up(token, digest, address, scheme)
        return caller

    async def _look_up(self, token: str, digest: bytes, address: str, scheme: str) -> Caller:
        failures = self._failures.get(address) or _Failures()
        if digest not in self._valid and failures.count >= MAX_FAILURES:
            raise RateLimited(
                "too many wrong API keys came from this address", FAILURE_WINDOW.total_seconds()
            )
        found = await self._ask(token)
        self._note(any_key=found.any_key)
        if found.key and not found.expired:
            limits = self._default_limits.with_overrides(found.key.limits)
            caller = Caller(found.key.tenant, limits, found.key)
            self._valid[digest] = (time.monotonic() + TRUST.total_seconds(), caller)
            return caller
        self._valid.pop(digest, None)
        if not found.any_key and self._is_local:
            return self._without_key
        failures.count += 1
        self._failures.setdefault(address, failures)
        raise Unauthorized(_reason(found, scheme))

    async def _is_unlocked(self) -> bool:
        if not self._is_local:
            return False
        if time.monotonic() >= self._any_key_until:
            self._note(any_key=(await self._ask("")).any_key)
        return not self._any_key

    async def _ask(self, token: str) -> Found:
        if time.monotonic() < self._outage_until:
            raise Unavailable(self._outage)
        try:
            return await self._api_keys.find(token)
        except Unavailable as error:
            self._outage = error.detail
            self._outage_until = time.monotonic() + BREATHER.total_seconds()
            raise

    def _note(self, *, any_key: bool) -> None:
        self._any_key, self._any_key_until = any_key, time.monotonic() + TRUST.total_seconds()


def _reason(found: Found, scheme: str) -> str:
    if found.key and found.key.expires_at:
        return f"the API key expired at {found.key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    if scheme.lower() != "bearer":
        return f"the scheme of `Authorization` must be `Bearer`; got {scheme[:20]!r}"
    return "the API key is unknown or revoked"
